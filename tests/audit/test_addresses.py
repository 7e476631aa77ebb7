"""No webhook leads into the network that voxgov stands in, in whatever form its address is written or its name resolves."""

import socket
from ipaddress import ip_address

import pytest

from audit import addresses
from audit.addresses import MAX_ADDRESSES, parse, resolve
from audit.errors import AddressRefused

PUBLIC = [
    "8.8.8.8",
    "93.184.216.34",
    "223.255.255.254",
    "2606:4700::1111",
    "2a00:1450:4001:801::200e",
    "64:ff9b::808:808",
]

NOT_PUBLIC = [
    # this machine
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "0.1.2.3",
    "::1",
    "::",
    # private networks
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "100.127.255.255",
    "fc00::1",
    "fd00:ec2::254",
    # link-local, and the metadata of clouds
    "169.254.169.254",
    "169.254.0.1",
    "168.63.129.16",
    "192.0.0.192",
    "100.100.100.200",
    "fe80::1",
    "fe80::1%1",
    "fec0::1",
    # to many, reserved, for documents and measurements
    "224.0.0.1",
    "239.255.255.255",
    "255.255.255.255",
    "240.0.0.1",
    "192.0.2.1",
    "198.51.100.1",
    "203.0.113.1",
    "198.18.0.1",
    "192.88.99.1",
    "ff02::1",
    "2001:db8::1",
    "3fff::1",
    # IPv4 in the clothes of IPv6
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "::127.0.0.1",
    "::7f00:1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a00:1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::a00:1",
    "2002:7f00:1::",
    "2002:c0a8:101::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001::1",
]

REFUSED = [
    # another spelling of 127.0.0.1, 10.0.0.1 or 169.254.169.254
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7F.0.0.1/",
    "https://0177.0.0.1/",
    "https://0177.1/",
    "https://127.1/",
    "https://127.0.1/",
    "https://127.0.0.01/",
    "https://010.0.0.1/",
    "https://10.1/",
    "https://0/",
    "https://0x/",
    "https://2852039166/",
    "https://0xa9fea9fe/",
    "https://127.0.0.1./",
    "https://[127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[0:0:0:0:0:ffff:127.0.0.1]/",
    "https://[::1]:8443/",
    "https://[fe80::1%25eth0]/",
    "https://[::1].example.com/",
    "https://[::1",
    "https://１２７.0.0.1/",
    "https://127。0。0。1/",
    "https://①②⑦.0.0.1/",
    # names of this machine and of local networks
    "https://localhost/",
    "https://LOCALHOST:8443/",
    "https://localhost./",
    "https://api.localhost/",
    "https://localhost.localdomain/",
    "https://ⓛocalhost/",
    "https://metadata/",
    "https://metadata.google.internal/",
    "https://printer.local/",
    "https://router.home.arpa/",
    "https://db.corp/",
    # what programs read differently
    "https://user@hooks.example.com/",
    "https://user:secret@hooks.example.com/",
    "https://hooks.example.com@127.0.0.1/",
    "https://127.0.0.1\\@hooks.example.com/",
    "https://hooks.example.com\\.evil.example/",
    "https://hooks.example.com#@127.0.0.1/",
    "https://hooks.example.com/#fragment",
    "https://hooks.exa mple.com/",
    "https://hooks.example.com/\r\nHost: 127.0.0.1",
    "https://hooks.example.com/\t",
    " https://hooks.example.com/",
    "https://hooks.example.com/ünïcode",
    "https://bücher.example/",
    "https://%6c%6f%63%61%6c%68%6f%73%74/",
    "https://hooks..example.com/",
    "https://-hooks.example.com/",
    "https://hooks_.example.com/",
    "https://hooks.example.com:/",
    "https://hooks.example.com:0/",
    "https://hooks.example.com:65536/",
    "https://hooks.example.com:443:443/",
    "https://hooks.example.com:０/",
    "https://hooks.example.com:+443/",
    "https:///hook",
    "https://",
    "https:hooks.example.com",
    "//hooks.example.com/",
    "hooks.example.com",
    "",
    # other ways to reach something
    "http://hooks.example.com/",
    "http://127.0.0.1/",
    "ftp://hooks.example.com/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:25/",
    "unix:///run/docker.sock",
    "javascript:alert(1)",
    "https://hooks.example.com/" + "a" * 2000,
    f"https://{'a' * 64}.example.com/",
    f"https://{'a.' * 130}com/",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_public(address: str) -> None:
    assert addresses.is_public(ip_address(address))


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_every_other_address_is_refused_as_a_name_resolves_to_it_and_as_it_is_written(address: str) -> None:
    assert not addresses.is_public(ip_address(address))
    target = parse("https://hooks.example.com/")
    with pytest.raises(AddressRefused):
        resolve(target, lambda host, port: [address])
    with pytest.raises(AddressRefused):
        resolve(target, lambda host, port: ["8.8.8.8", address, "2606:4700::1111"])
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(AddressRefused):
        parse(f"https://{host}/")


@pytest.mark.parametrize("url", REFUSED)
def test_a_url_in_any_doubtful_form_is_refused_with_a_sentence_that_does_not_repeat_it(url: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        parse(url)
    assert not url or url not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "authority", "path"),
    [
        ("https://hooks.example.com", "hooks.example.com", "/"),
        ("HTTPS://Hooks.Example.COM:443/", "hooks.example.com", "/"),
        ("https://hooks.example.com:8443/a/b?c=d&e=/f?g", "hooks.example.com:8443", "/a/b?c=d&e=/f?g"),
        ("https://hooks.example.com?q", "hooks.example.com", "/?q"),
        ("https://xn--bcher-kva.example/%C3%BC", "xn--bcher-kva.example", "/%C3%BC"),
        ("https://8.8.8.8:1/", "8.8.8.8:1", "/"),
        ("https://[2606:4700:0::1111]:25/x", "[2606:4700::1111]:25", "/x"),
    ],
)
def test_a_url_has_one_reading(url: str, authority: str, path: str) -> None:
    target = parse(url)
    assert (target.scheme, target.authority, target.path) == ("https", authority, path)


def test_plain_http_goes_to_this_machine_only_and_only_where_that_is_allowed() -> None:
    for url in ("http://127.0.0.1:8000/", "http://localhost:8000/", "http://[::1]:8000/", "https://127.0.0.1/"):
        assert parse(url, loopback=True).path == "/"
    for url in (
        "http://hooks.example.com/",
        "http://10.0.0.1/",
        "http://8.8.8.8/",
        "https://192.168.0.1/",
        "http://127.1/",
    ):
        with pytest.raises(AddressRefused):
            parse(url, loopback=True)
    local = parse("http://localhost:8000/", loopback=True)
    assert [str(one) for one in resolve(local, lambda host, port: ["127.0.0.1", "::1"], loopback=True)] == [
        "127.0.0.1",
        "::1",
    ]
    for elsewhere in ("8.8.8.8", "10.0.0.1"):
        with pytest.raises(AddressRefused):
            resolve(local, lambda host, port, answer=elsewhere: [answer], loopback=True)  # type: ignore[misc]
    with pytest.raises(AddressRefused):
        resolve(local, lambda host, port: ["127.0.0.1"])


def test_a_name_that_resolves_to_nothing_to_too_much_or_to_nonsense_is_refused_alike() -> None:
    target = parse("https://hooks.example.com/")

    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    for resolver in (
        unknown,
        lambda host, port: [],
        lambda host, port: ["not an address"],
        lambda host, port: [f"8.8.8.{number}" for number in range(MAX_ADDRESSES + 1)],
    ):
        with pytest.raises(AddressRefused, match="no address, or one that is not public"):
            resolve(target, resolver)


def test_an_address_in_a_url_is_looked_up_nowhere() -> None:
    def never(host: str, port: int) -> list[str]:
        raise AssertionError

    assert [str(one) for one in resolve(parse("https://8.8.8.8/"), never)] == ["8.8.8.8"]


def test_the_machines_own_resolver_knows_this_machine_and_that_is_refused() -> None:
    assert addresses.from_system("localhost", 443)
    with pytest.raises(AddressRefused):
        resolve(parse("https://localtest.example.com/"), lambda host, port: addresses.from_system("localhost", port))
