"""The writer: gives out no bundle that would not verify, skips nothing, and packs the same bundle to the same bytes."""

import io
import json
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from audit.errors import BundleInvalid, LogInvalid, TileInvalid
from audit.export import manifest
from audit.export.lines import LeftOut
from audit.export.writing import pack, write_bundle
from audit.tlog.notes import Ed25519Signer
from tests.audit.entries import entry
from tests.audit.export.bundles import SIGNER, Log, log_of
from tests.audit.tlog.reference import leaf

LOG_70 = log_of(70)


def test_a_bundle_has_exactly_its_files(tmp_path: Path) -> None:
    whole = LOG_70.bundle(tmp_path / "whole")
    part = LOG_70.bundle(tmp_path / "part", 30, 60)
    for made, start, directory in ((whole, 0, "whole"), (part, 30, "part")):
        listed = {*manifest.names(start), manifest.MANIFEST, manifest.NOTE}
        assert {file.name for file in (tmp_path / directory).iterdir()} == listed
        assert manifest.parse((tmp_path / directory / manifest.MANIFEST).read_bytes()) == made
    assert (whole.start, whole.end, whole.entries, whole.left_out) == (0, 70, 70, 0)
    assert (part.start, part.end, part.entries, part.left_out) == (30, 60, 30, 0)


def test_entries_left_out_are_counted_and_stand_as_hashes(tmp_path: Path) -> None:
    made = LOG_70.bundle(tmp_path / "b", keep=lambda index: index % 3 == 0)
    assert (made.entries, made.left_out) == (24, 46)
    lines = (tmp_path / "b" / manifest.ENTRIES).read_bytes().splitlines()
    assert [sorted(json.loads(line)) for line in lines[:2]] == [["entry", "index"], ["index", "leaf"]]
    assert len((tmp_path / "b" / manifest.TABLE).read_bytes().splitlines()) == 25
    assert len((tmp_path / "b" / manifest.OCSF).read_bytes().splitlines()) == 24


@pytest.mark.parametrize("edit", ["skip", "swap", "repeat", "stop", "change", "another hash", "go on"])
def test_entries_that_do_not_lead_to_the_signed_root_are_not_given_out(tmp_path: Path, edit: str) -> None:
    order = LOG_70.order(10, 60, filter={"name": ["x"]})
    items = list(LOG_70.items(order))
    if edit == "skip":
        del items[5]
    elif edit == "swap":
        items[5], items[6] = (5 + 10, items[6][1]), (6 + 10, items[5][1])
    elif edit == "repeat":
        items.insert(5, items[5])
    elif edit == "stop":
        del items[-1]
    elif edit == "change":
        items[5] = (15, entry(999))
    elif edit == "another hash":
        items[5] = (15, LeftOut(leaf(1)))
    else:
        items.append((60, entry(60)))
    with pytest.raises(BundleInvalid):
        write_bundle(tmp_path, order, items, LOG_70.tree.reader(60), SIGNER)
    assert not (tmp_path / manifest.NOTE).exists()


def test_entries_are_not_left_out_without_a_filter(tmp_path: Path) -> None:
    order = LOG_70.order()
    with pytest.raises(BundleInvalid, match="without a filter"):
        write_bundle(tmp_path, order, LOG_70.items(order, lambda index: index != 3), LOG_70.tree.reader(), SIGNER)


def test_checkpoints_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    other = Log([entry(number) for number in range(1, 71)])
    renamed = Log(LOG_70.entries, Ed25519Signer.generate("log.example/x"), "log.example/x")
    for number, start in enumerate((other.signed(30), other.signed(70), renamed.signed(30))):
        order = replace(LOG_70.order(), start=start)
        (tmp_path / str(number)).mkdir()
        with pytest.raises(LogInvalid):
            write_bundle(tmp_path / str(number), order, LOG_70.items(order), LOG_70.tree.reader(), SIGNER)


def test_hashes_that_are_missing_stop_the_writer(tmp_path: Path) -> None:
    order = LOG_70.order(30, 60)
    with pytest.raises(TileInvalid):
        write_bundle(tmp_path, order, LOG_70.items(order), log_of(40).tree.reader(60), SIGNER)


def test_nothing_is_written_over(tmp_path: Path) -> None:
    LOG_70.bundle(tmp_path / "b")
    order = LOG_70.order()
    with pytest.raises(FileExistsError):
        write_bundle(tmp_path / "b", order, LOG_70.items(order), LOG_70.tree.reader(), SIGNER)


def test_an_empty_range_and_an_empty_log_make_bundles(tmp_path: Path) -> None:
    assert LOG_70.bundle(tmp_path / "range", 70, 70).entries == 0
    assert log_of(0).bundle(tmp_path / "log").entries == 0


def test_the_same_bundle_packs_to_the_same_bytes(tmp_path: Path) -> None:
    LOG_70.bundle(tmp_path / "b")
    first, second = io.BytesIO(), tmp_path / "b.zip"
    pack(tmp_path / "b", first)
    pack(tmp_path / "b", second)
    assert first.getvalue() == second.read_bytes()
    with zipfile.ZipFile(second) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {
            file.name: file.read_bytes() for file in (tmp_path / "b").iterdir()
        }


def test_writing_takes_the_same_memory_for_any_length(tmp_path: Path) -> None:
    peaks = []
    for size in (2_000, 12_000):
        log = log_of(size)
        order = log.order()
        (tmp_path / str(size)).mkdir()
        tracemalloc.start()
        write_bundle(tmp_path / str(size), order, log.items(order), log.tree.reader(), SIGNER)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 200_000
