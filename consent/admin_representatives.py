"""Admin page of representatives: who answers for whom, since when and until when, and what was answered through them. Who they are
stays sealed; a reveal is recorded.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminSplitDateTime
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from accounts.admin_acts import Act, ActForm, Outcome
from accounts.admin_display import NOTHING, Tone, badge, badges, code, exact_moment, moment, part, short_code, words
from accounts.roles import Permission
from audit.entry import Actor
from consent import records, representing, revealing
from consent.admin_filters import DocumentFilter, RepresentationFilter, lacking_document
from consent.admin_policy import ConsentAdmin
from consent.admin_words import scope_badge
from consent.models import ConsentRecord, Representation, Subject
from consent.representing import MAX_IDENTITY
from consent.vocabulary import RepresentativeRelation

SHOWN = 100
"""Answers that a page lists."""


class RepresentativeForm(ActForm):
    subject = forms.ModelChoiceField(
        Subject.objects.none(),
        to_field_name="code",
        widget=forms.TextInput(attrs={"size": 40, "autocomplete": "off"}),
        help_text="Code of the person who is represented; find or register them under Subjects.",
    )
    relation = forms.ChoiceField(
        choices=[(word.value, word.value) for word in RepresentativeRelation],
        help_text="A parent or guardian of a child, or somebody with a mandate for an adult.",
    )
    identity = forms.CharField(
        max_length=MAX_IDENTITY,
        label="Who they are",
        widget=forms.TextInput(attrs={"autocomplete": "off", "size": 60}),
        help_text="Sealed at once; only a recorded reveal shows it again.",
    )
    proof_sha256 = forms.RegexField(
        r"^[0-9a-f]{64}$",
        label="SHA-256 of the proof",
        widget=forms.TextInput(attrs={"autocomplete": "off", "size": 64}),
        help_text="Of the document that proves it: 64 hexadecimal digits, lower case.",
    )
    proof_reference = forms.CharField(
        max_length=MAX_IDENTITY,
        required=False,
        label="Where the proof is",
        widget=forms.TextInput(attrs={"autocomplete": "off", "size": 60}),
        help_text="A file number, a place. Sealed.",
    )
    ends_at = forms.SplitDateTimeField(
        widget=AdminSplitDateTime,
        required=False,
        label="Until",
        help_text="In UTC: the day on which a child comes of age, or the end of the mandate.",
    )


def _register(_: Any, form: Mapping[str, Any], actor: Actor) -> Outcome:
    relation = RepresentativeRelation(form["relation"])
    found = representing.register(
        form["subject"],
        relation=relation,
        identity=form["identity"],
        proof_sha256=form["proof_sha256"],
        proof_reference=form["proof_reference"],
        of_child=relation is not RepresentativeRelation.MANDATE,
        ends_at=form["ends_at"],
        actor=actor,
    )
    return Outcome("Registered. They may answer for this person from now on.", found)


def _reveal(row: Representation, _: Mapping[str, Any], actor: Actor) -> Outcome:
    found = revealing.representative(row, actor=actor)
    shown = [("Who they are", found.identity), ("Where the proof is", found.proof_reference or "nobody said")]
    return Outcome("This look is recorded in the trail.", row, shown_once=shown)


def _end(row: Representation, _: Mapping[str, Any], actor: Actor) -> Outcome:
    representing.end(row, actor=actor)
    return Outcome("Ended. What was given through it waits for what the person answers now.", row)


def _is_sealed(row: Representation) -> bool:
    return row.identity is not None and row.subject.erased_at is None


@admin.register(Representation)
class RepresentationAdmin(ConsentAdmin):
    view_permission = Permission.VIEW_CONSENT
    heading = "Representatives"
    introduction = (
        "Who answers for a child or for an adult who is represented, with proof, until when. They stay sealed."
    )
    empty_hint = "Nobody is represented. Representatives come in through the API, an import, or with “Register”."
    position = 15
    in_trail = True
    list_display = ("code_short", "subject_short", "relation_shown", "until", "state_shown", "document_kept")
    list_filter = ("project", RepresentationFilter, DocumentFilter, "relation")
    list_select_related = ("subject", "project")
    search_fields = ("code__istartswith",)
    search_help_text = "The beginning of a code, or the whole code of the person who is represented."
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("subject_link", "relation_shown", "state_shown", "began", "until", "ended")}),
        ("Proof", {"fields": ("identity_shown", "document_shown", "hash_shown")}),
        ("Answered through them", {"fields": ("answers",)}),
        ("Identity", {"fields": ("code_shown",)}),
    )
    list_acts = (
        Act(
            "add",
            "Register a representative",
            "Register somebody who acts for a person",
            Permission.MANAGE_CONSENT,
            _register,
            RepresentativeForm,
            confirm_label="Register",
        ),
    )
    acts = (
        Act(
            "reveal",
            "Reveal representative",
            "Who represents this person",
            Permission.REVEAL_SUBJECT,
            _reveal,
            applies=_is_sealed,
            explanation="The look is recorded in the trail with your name.",
            at_once=True,
        ),
        Act(
            "end",
            "End",
            "End this representation before its time",
            Permission.MANAGE_CONSENT,
            _end,
            applies=lambda row: row.ended_at is None and _is_sealed(row),
            explanation=(
                "What was granted through it is no longer in force at once, and waits, unread, for what the person, or whoever "
                "represents them now, answers."
            ),
            confirm_label="End now",
            grave=True,
        ),
    )

    def caption(self, row: Representation) -> str:
        return f"{words(row.relation) or 'representative'} of …{row.subject.code[-12:]}"

    def sought(self, request: HttpRequest, term: str) -> Q:
        return Q(code__istartswith=term) | Q(subject__code=term)

    def cards(self, request: HttpRequest) -> Sequence[Mapping[str, Any]]:
        count = lacking_document(self.get_queryset(request)).count()
        label = "representatives whose proof nobody can find"
        return [{"label": label, "count": count, "query": "?document=missing", "pressing": True}]

    @admin.display(description="For")
    def subject_short(self, row: Representation) -> SafeString:
        return short_code(row.subject.code)

    @admin.display(description="For")
    def subject_link(self, row: Representation) -> SafeString:
        return self.link_to(row.subject, code(row.subject.code))

    @admin.display(description="Relation", ordering="relation")
    def relation_shown(self, row: Representation) -> str:
        return words(row.relation) or "destroyed"

    @admin.display(description="Since")
    def began(self, row: Representation) -> str:
        return exact_moment(row.began_at)

    @admin.display(description="Until", ordering="ends_at")
    def until(self, row: Representation) -> str:
        return "no end set" if row.ends_at is None else moment(row.ends_at)

    @admin.display(description="Ended before its time")
    def ended(self, row: Representation) -> str:
        return exact_moment(row.ended_at)

    @admin.display(description="State")
    def state_shown(self, row: Representation) -> SafeString:
        if row.identity is None:
            return badge("person erased", Tone.ENDED)
        if row.ended_at is not None:
            return badge("ended before its time", Tone.ENDED)
        if row.ends_at is not None and row.ends_at <= timezone.now():
            return badge("over", Tone.ENDED)
        return badge("in force", Tone.GOOD)

    @admin.display(description="Who they are")
    def identity_shown(self, row: Representation) -> str:
        return "destroyed" if row.identity is None else "•••••••• (sealed)"

    @admin.display(description="Where the proof is")
    def document_shown(self, row: Representation) -> Any:
        if row.identity is None:
            return "destroyed"
        return "•••••••• (sealed)" if row.proof_reference is not None else badge("nobody said", Tone.WAITING)

    @admin.display(description="Proof")
    def document_kept(self, row: Representation) -> Any:
        """In a list: whether anybody said where it is."""
        if row.identity is None:
            return NOTHING
        return "kept" if row.proof_reference is not None else badge("nobody said", Tone.WAITING)

    @admin.display(description="SHA-256 of the proof")
    def hash_shown(self, row: Representation) -> SafeString | str:
        return code(row.proof_sha256) if row.proof_sha256 else NOTHING

    @admin.display(description="Answers")
    def answers(self, row: Representation) -> SafeString:
        rows = records.readable(ConsentRecord.objects.filter(representation=row).order_by("-id"))
        items = [
            {
                "link": self.link_to(view.record, moment(view.record.given_at)),
                "purpose": view.record.purpose.name,
                "states": badges(scope_badge(scope) for scope in view.scopes),
            }
            for view in records.describe(list(rows[:SHOWN]))
        ]
        return part("answers", items=items)
