"""Admin page of the register of breaches (GDPR art. 33 and 34): the clock, what is still to be done, and every revision. What was
said in words opens by an act that is recorded.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminSplitDateTime
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from accounts.admin_acts import Act, ActForm, Outcome, person
from accounts.admin_display import Tone, badge, colleague, exact_moment, moment, part, words
from accounts.admin_people import names_of
from accounts.models import Project
from accounts.roles import Permission
from audit.entry import Actor
from consent import breaches
from consent.admin_filters import WordFilter
from consent.admin_policy import ConsentAdmin
from consent.breaches import MAX_COUNT, MAX_TEXT, Clock, Facts
from consent.inventory import Category
from consent.models import Breach, BreachRevision
from consent.vocabulary import BreachKind, BreachRisk, BreachText, NotTold, ParticipantRole

_CLOCKS: Mapping[Clock, Tone] = {
    Clock.RUNNING: Tone.WAITING,
    Clock.OVERDUE: Tone.BAD,
    Clock.TOLD_IN_TIME: Tone.GOOD,
    Clock.TOLD_LATE: Tone.ENDED,
    Clock.NOT_NEEDED: Tone.ENDED,
}
_RISKS: Mapping[str, Tone] = {
    BreachRisk.UNDETERMINED: Tone.WAITING,
    BreachRisk.UNLIKELY: Tone.GOOD,
    BreachRisk.RISK: Tone.WAITING,
    BreachRisk.HIGH: Tone.BAD,
}
_TEXTS: Mapping[BreachText, str] = {
    BreachText.NATURE: "What happened",
    BreachText.CONSEQUENCES: "Likely consequences",
    BreachText.MEASURES: "Measures taken and proposed",
    BreachText.CONTACT: "Where more can be learnt",
    BreachText.DELAY_REASON: "Why the authority was told late",
    BreachText.NOT_TOLD_REASON: "Why people are not told one by one",
}


class OverdueFilter(WordFilter):
    title = "72 hours"
    parameter_name = "clock"
    words = (("overdue", "overdue"),)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.chosen() is None:
            return queryset
        late = breaches.overdue(breaches.newest_of(queryset), timezone.now())
        return queryset.filter(pk__in=late.values("breach"))


def _words(kind: Any) -> list[tuple[str, str]]:
    return [(word.value, words(word.value)) for word in kind]


def _moment(label: str, help_text: str = "In UTC.", *, required: bool = False) -> forms.SplitDateTimeField:
    return forms.SplitDateTimeField(label=label, widget=AdminSplitDateTime, required=required, help_text=help_text)


def _text(name: BreachText) -> forms.CharField:
    return forms.CharField(
        label=_TEXTS[name], max_length=MAX_TEXT, required=False, widget=forms.Textarea(attrs={"rows": 3, "cols": 80})
    )


class AmendBreachForm(ActForm):
    """What is known now. Texts that are left empty stay as they were."""

    aware_at = _moment(
        "Aware since", "In UTC: when the controller became aware; the 72 hours begin then.", required=True
    )
    kinds = forms.MultipleChoiceField(
        choices=_words(BreachKind), widget=forms.CheckboxSelectMultiple, label="What it did to the data"
    )
    risk = forms.ChoiceField(
        choices=_words(BreachRisk), help_text="For the people concerned. At a high risk they are told (art. 34)."
    )
    people = forms.MultipleChoiceField(
        choices=_words(ParticipantRole), required=False, widget=forms.CheckboxSelectMultiple, label="People concerned"
    )
    people_count = forms.IntegerField(min_value=0, max_value=MAX_COUNT, required=False, label="About how many people")
    data_categories = forms.MultipleChoiceField(
        choices=_words(Category), required=False, widget=forms.CheckboxSelectMultiple, label="Data concerned"
    )
    records_count = forms.IntegerField(min_value=0, max_value=MAX_COUNT, required=False, label="About how many records")
    nature = _text(BreachText.NATURE)
    consequences = _text(BreachText.CONSEQUENCES)
    measures = _text(BreachText.MEASURES)
    contact = _text(BreachText.CONTACT)
    authority_notified_at = _moment("Authority told")
    delay_reason = _text(BreachText.DELAY_REASON)
    persons_notified_at = _moment("People told")
    not_told = forms.ChoiceField(
        choices=[("", "–"), *_words(NotTold)], required=False, label="Or not told one by one", help_text="Art. 34(3)."
    )
    not_told_reason = _text(BreachText.NOT_TOLD_REASON)


class RegisterBreachForm(AmendBreachForm):
    project = forms.ModelChoiceField(Project.objects.none())
    field_order = ("project",)


def _facts(form: Mapping[str, Any]) -> dict[str, Any]:
    plain = ("aware_at", "people_count", "records_count", "authority_notified_at", "persons_notified_at")
    return {
        **{name: form[name] for name in plain},
        "kinds": tuple(BreachKind(kind) for kind in form["kinds"]),
        "people": tuple(ParticipantRole(role) for role in form["people"]),
        "data_categories": tuple(Category(category) for category in form["data_categories"]),
        "risk": BreachRisk(form["risk"]),
        "not_told": NotTold(form["not_told"]) if form["not_told"] else None,
        "texts": {text: form[text.value] for text in BreachText if form[text.value].strip()},
    }


def _register(_: Any, form: Mapping[str, Any], actor: Actor) -> Outcome:
    return Outcome("Registered.", breaches.register(form["project"], Facts(**_facts(form)), actor=actor))


def _amend(breach: Breach, form: Mapping[str, Any], actor: Actor) -> Outcome:
    return Outcome(
        "Amended. What was known before stays in the history.", breaches.amend(breach, _facts(form), actor=actor)
    )


def _open(breach: Breach, _: Mapping[str, Any], actor: Actor) -> Outcome:
    said = breaches.read(breach, actor=actor)
    if said is None:
        return Outcome("The term of the register is over: what was said in words is destroyed.", breach)
    shown = [(_TEXTS[name], said[name]) for name in _TEXTS if name in said]
    return Outcome(
        "This look is recorded in the trail.", breach, shown_once=shown or [("Texts", "nothing was said yet")]
    )


def _as_known(breach: Breach) -> Mapping[str, Any]:
    known = breaches.newest(breach)
    names = [name for name in AmendBreachForm.base_fields if name not in set(BreachText)]
    return {name: getattr(known, name) for name in names}


@admin.register(Breach)
class BreachAdmin(ConsentAdmin):
    view_permission = Permission.MANAGE_BREACHES
    heading = "Breaches"
    introduction = (
        "Breaches of security that concern personal data (GDPR art. 33). The authority is told within 72 hours of knowing, "
        "unless a risk for people is unlikely; at a high risk the people are told too."
    )
    empty_hint = "No breach is registered."
    position = 76
    list_display = ("known", "clock_shown", "due", "risk_shown")
    list_filter = ("project", OverdueFilter)
    list_select_related = ("project",)
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("clock_shown", "due", "risk_shown", "open_points")}),
        ("What is known", {"fields": ("known", "kinds_shown", "people_shown", "data_shown", "texts_shown")}),
        ("Who was told", {"fields": ("authority", "people_told")}),
        ("History", {"fields": ("history",)}),
        ("Identity", {"fields": ("code_shown", "project", "registered")}),
    )
    list_acts = (
        Act(
            "add",
            "Register a breach",
            "Register a breach",
            Permission.MANAGE_BREACHES,
            _register,
            RegisterBreachForm,
            initial=lambda _: {"aware_at": timezone.now(), "risk": BreachRisk.UNDETERMINED.value},
            explanation=(
                "What is not known yet may follow. Texts are sealed; name nobody where you need not, and no person by code."
            ),
            confirm_label="Register",
        ),
    )
    acts = (
        Act(
            "amend",
            "Amend",
            "Say what is known now",
            Permission.MANAGE_BREACHES,
            _amend,
            AmendBreachForm,
            initial=_as_known,
            explanation="Makes a new revision; earlier ones stay. Texts that you leave empty stay as they were.",
            confirm_label="Amend",
        ),
        Act(
            "open",
            "Open texts",
            "What was said of this breach",
            Permission.MANAGE_BREACHES,
            _open,
            explanation="The look is recorded in the trail with your name.",
            at_once=True,
        ),
    )

    def caption(self, row: Breach) -> str:
        return f"known since {moment(_newest(row).aware_at)}"

    def cards(self, request: HttpRequest) -> Sequence[Mapping[str, Any]]:
        late = breaches.overdue(breaches.newest_of(self.get_queryset(request)), timezone.now()).count()
        return [
            {
                "label": "breaches of which the authority was not told in time",
                "count": late,
                "query": "?clock=overdue",
                "pressing": True,
            }
        ]

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Every row's newest revision at once."""
        found = super().get_changelist_instance(request)
        rows: list[Any] = list(found.result_list)
        newest = breaches.newest_of(Breach.objects.filter(pk__in=[row.pk for row in rows]))
        by_breach = {revision.breach_id: revision for revision in newest}
        for row in rows:
            row.newest = by_breach[row.pk]
        found.result_list = rows
        return found

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        row: Any = super().get_object(request, object_id, from_field)
        if row is not None:
            row.names = names_of(person(request), set(row.revisions.values_list("actor_code", flat=True)))
        return row

    @admin.display(description="Known since", ordering="id")
    def known(self, row: Breach) -> str:
        return moment(_newest(row).aware_at)

    @admin.display(description="72 hours")
    def clock_shown(self, row: Breach) -> SafeString:
        where = breaches.clock(_newest(row), timezone.now())
        return badge(words(where), _CLOCKS[where])

    @admin.display(description="Tell the authority by")
    def due(self, row: Breach) -> str:
        return moment(breaches.due_at(_newest(row)))

    @admin.display(description="Risk for people")
    def risk_shown(self, row: Breach) -> SafeString:
        risk = _newest(row).risk
        return badge(risk, _RISKS[risk])

    @admin.display(description="Still to be done")
    def open_points(self, row: Breach) -> SafeString:
        return part("open_points", points=breaches.open_points(_newest(row), timezone.now()))

    @admin.display(description="What it did to the data")
    def kinds_shown(self, row: Breach) -> str:
        return ", ".join(_newest(row).kinds)

    @admin.display(description="People concerned")
    def people_shown(self, row: Breach) -> str:
        return _counted(_newest(row).people, _newest(row).people_count)

    @admin.display(description="Data concerned")
    def data_shown(self, row: Breach) -> str:
        return _counted(_newest(row).data_categories, _newest(row).records_count)

    @admin.display(description="Said in words, sealed")
    def texts_shown(self, row: Breach) -> str:
        return "; ".join(_TEXTS[BreachText(name)] for name in _newest(row).stated) or "nothing yet"

    @admin.display(description="Authority")
    def authority(self, row: Breach) -> str:
        told = _newest(row).authority_notified_at
        return "not told" if told is None else f"told {exact_moment(told)}"

    @admin.display(description="People")
    def people_told(self, row: Breach) -> str:
        revision = _newest(row)
        told = (
            "not told" if revision.persons_notified_at is None else f"told {exact_moment(revision.persons_notified_at)}"
        )
        return f"{told}; {words(revision.not_told)} (art. 34(3))" if revision.not_told else told

    @admin.display(description="Revisions")
    def history(self, row: Any) -> SafeString:
        steps = [
            {
                "at": exact_moment(revision.at),
                "number": revision.number,
                "who": colleague(row.names, revision.actor_kind, revision.actor_code),
                "risk": badge(revision.risk, _RISKS[revision.risk]),
                "aware": moment(revision.aware_at),
                "authority": moment(revision.authority_notified_at),
                "people": moment(revision.persons_notified_at),
            }
            for revision in row.revisions.order_by("number")
        ]
        overdue = row.overdue_recorded_at
        return part("breach_history", steps=steps, overdue="" if overdue is None else exact_moment(overdue))

    @admin.display(description="Registered")
    def registered(self, row: Breach) -> str:
        return exact_moment(row.registered_at)


def _newest(row: Any) -> BreachRevision:
    """Asked for once for each row that is shown."""
    found = getattr(row, "newest", None)
    if isinstance(found, BreachRevision):
        return found
    row.newest = revision = breaches.newest(row)
    return revision


def _counted(categories: Sequence[str], count: int | None) -> str:
    said = ", ".join(words(category) for category in categories) or "categories not known yet"
    return f"{said}; {'number not known yet' if count is None else f'about {count:,}'}"
