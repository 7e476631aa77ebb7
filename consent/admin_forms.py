"""The forms of the consent pages. They parse and offer choices; what is allowed is decided by the functions they lead to."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.admin.widgets import AdminSplitDateTime
from django.core.validators import RegexValidator
from django.db.models import F
from django.utils import timezone

from accounts.admin_acts import ActForm
from accounts.models import Project
from consent import records
from consent.admin_words import scope_choices
from consent.consistency import MAX_ORIGIN
from consent.granting import Answer
from consent.inventory import DEFAULT_DAYS, Category
from consent.law.places import UNKNOWN
from consent.models import Notice, NoticeSeries, Purpose, Subject
from consent.processing import DAYS, MAX_TEXT, Party, Processing
from consent.retention import MAX_DAYS
from consent.subjects import MAX_REFERENCE
from consent.vocabulary import (
    Context,
    EvidenceMethod,
    Ground,
    LawfulBasis,
    ParticipantRole,
    RestrictionGround,
    RetentionClass,
    Scope,
)

LANGUAGE_TAG = RegexValidator(
    r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$", "This is not a BCP 47 language tag, such as en or de-CH."
)


def _words(values: Any) -> list[tuple[str, str]]:
    return [(word.value, word.value.replace("_", " ")) for word in values]


if TYPE_CHECKING:
    _NoticeChoice = forms.ModelChoiceField[Notice]
else:
    _NoticeChoice = forms.ModelChoiceField


class NoticeChoice(_NoticeChoice):
    def label_from_instance(self, obj: Notice) -> str:
        return f"{obj.series.name}, version {obj.version} ({obj.language}): {obj.title}"


class RestrictForm(ActForm):
    ground = forms.ChoiceField(choices=_words(RestrictionGround), help_text="Why: GDPR art. 18(1), or an inquiry.")


class RegisterForm(ActForm):
    project = forms.ModelChoiceField(Project.objects.none())
    external_reference = forms.CharField(
        max_length=MAX_REFERENCE,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "size": 60}),
        help_text="How you know this person. Sealed at once; only a recorded reveal shows it again.",
    )


class FindForm(ActForm):
    project = forms.ModelChoiceField(Project.objects.none())
    external_reference = forms.CharField(
        max_length=MAX_REFERENCE,
        widget=forms.TextInput(attrs={"autocomplete": "off", "size": 60}),
        help_text="Must match exactly. It is looked up by a keyed index and is not stored.",
    )


class RoleForm(ActForm):
    role = forms.ChoiceField(
        choices=[choice for choice in _words(ParticipantRole) if choice[0] != ParticipantRole.UNKNOWN],
        help_text="The role in which the person counts from now on, when it is approved.",
    )


class EraseForm(ActForm):
    understood = forms.BooleanField(label="I understand that this cannot be undone")


class ContinueNoticeForm(ActForm):
    language = forms.CharField(max_length=35, validators=[LANGUAGE_TAG], help_text="BCP 47 language tag, such as en.")
    title = forms.CharField(max_length=200, widget=forms.TextInput(attrs={"size": 80}))
    text = forms.CharField(
        max_length=100_000,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 14, "cols": 90}),
        help_text="Exactly what the person is shown.",
    )
    material = forms.BooleanField(
        required=False,
        help_text="A material version ends the validity of consent given under older versions, the moment it is published.",
    )


class DraftNoticeForm(ContinueNoticeForm):
    project = forms.ModelChoiceField(Project.objects.none())
    series = forms.CharField(
        max_length=120, label="Name", help_text="A new name starts a notice; a known name adds its next version."
    )
    field_order = ("project", "series", "language", "title", "text", "material")


class PurposeForm(ActForm):
    project = forms.ModelChoiceField(Project.objects.none())
    name = forms.CharField(max_length=120, widget=forms.TextInput(attrs={"size": 60}))
    series = forms.ModelChoiceField(
        NoticeSeries.objects.none(), label="Notice", help_text="What people are shown before they answer."
    )
    lawful_basis = forms.ChoiceField(choices=_words(LawfulBasis), help_text="GDPR art. 6(1).")
    scopes = forms.MultipleChoiceField(choices=scope_choices, widget=forms.CheckboxSelectMultiple)
    contexts = forms.MultipleChoiceField(
        choices=[choice for choice in _words(Context) if choice[0] != Context.UNKNOWN],
        widget=forms.CheckboxSelectMultiple,
    )
    description = forms.CharField(max_length=2000, required=False, widget=forms.Textarea(attrs={"rows": 4, "cols": 80}))
    recipients = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "cols": 80}),
        help_text="Who receives the results, one per line.",
    )

    controller_name = forms.CharField(max_length=200, help_text="Who is responsible.")
    controller_address = forms.CharField(max_length=300, widget=forms.TextInput(attrs={"size": 60}))
    controller_contact = forms.CharField(max_length=200, help_text="An e-mail address, a telephone number, a page.")
    storage_locations = forms.CharField(
        max_length=400, help_text="Where data lies: ISO 3166 codes such as DE, separated by spaces, or unknown."
    )
    transfer_safeguards = forms.CharField(
        max_length=MAX_TEXT,
        required=False,
        widget=forms.TextInput(attrs={"size": 80}),
        help_text="Where data lies outside the EEA: the safeguards of the transfer (GDPR art. 44 to 49).",
    )
    withdrawal_method = forms.CharField(
        max_length=MAX_TEXT,
        widget=forms.TextInput(attrs={"size": 80}),
        help_text="How people withdraw: as easily as they consented.",
    )
    retention_class = forms.ChoiceField(
        choices=[(kind.value, f"{kind.value}: at most {DAYS[kind]} days") for kind in RetentionClass],
        initial=RetentionClass.STANDARD.value,
        help_text="How long at most what is derived is kept; the project's own terms may be shorter.",
    )
    jurisdictions = forms.CharField(
        max_length=400,
        widget=forms.TextInput(attrs={"size": 60}),
        help_text="Where it is meant for: ISO 3166 codes such as DE or US-IL, separated by spaces.",
    )
    ground = forms.ChoiceField(
        choices=_words(Ground),
        required=False,
        label="Emotion at work or in education",
        help_text="The medical or safety reason that the impact assessment documents; none in every other case.",
    )
    deidentified = forms.BooleanField(required=False, help_text="Results are handed on as de-identified.")
    dpia_reference = forms.CharField(
        max_length=200,
        required=False,
        label="Impact assessment",
        widget=forms.TextInput(attrs={"size": 60}),
        help_text="Where it stands. A high-risk purpose stays closed without.",
    )

    def clean_jurisdictions(self) -> list[str]:
        return _places(self.cleaned_data["jurisdictions"])

    def clean_storage_locations(self) -> list[str]:
        return _places(self.cleaned_data["storage_locations"])

    def clean_ground(self) -> Ground:
        return Ground(self.cleaned_data["ground"] or Ground.NONE)

    def clean_recipients(self) -> list[str]:
        lines = [line.strip() for line in self.cleaned_data["recipients"].splitlines() if line.strip()]
        if any(len(line) > 200 for line in lines) or len(lines) > 50:
            raise forms.ValidationError("At most 50 recipients of at most 200 characters each.")
        return lines


class AnswerForm(ActForm):
    """What a person answered. About one subject (`target`), or about a subject chosen in `RecordConsentForm`."""

    purpose = forms.ModelChoiceField(Purpose.objects.none())
    notice = NoticeChoice(Notice.objects.none(), help_text="The published version that the person was shown.")
    scopes = forms.MultipleChoiceField(
        widget=forms.CheckboxSelectMultiple, help_text="Only what the person was asked about, each for itself."
    )
    answer = forms.ChoiceField(
        choices=[("given", "given"), ("refused", "refused")], widget=forms.RadioSelect, initial="given"
    )
    explicit = forms.BooleanField(
        required=False,
        label="Explicit consent",
        help_text="The person expressly agreed to each scope. Emotion, voiceprint, accent and sounds open for nothing less.",
    )
    given_at = forms.SplitDateTimeField(
        widget=AdminSplitDateTime, label="Answered at", initial=timezone.now, help_text="In UTC."
    )
    jurisdiction = forms.CharField(
        max_length=16,
        initial="unknown",
        help_text="Where the person is protected: an ISO 3166 code such as DE or US-IL, or unknown.",
    )
    expires_at = forms.SplitDateTimeField(
        widget=AdminSplitDateTime, required=False, help_text="In UTC; leave empty when it holds until withdrawn."
    )
    covers_recorded_from = forms.SplitDateTimeField(
        widget=AdminSplitDateTime,
        required=False,
        help_text="Only when the person also named earlier recordings: those made from this time on.",
    )
    method = forms.ChoiceField(choices=_words(EvidenceMethod), label="How the answer came")
    origin = forms.CharField(
        max_length=MAX_ORIGIN,
        required=False,
        label="Where from",
        widget=forms.TextInput(attrs={"autocomplete": "off", "size": 60}),
        help_text="A form's address, a file number. Sealed under the person's own key.",
    )
    shown = forms.BooleanField(label="The person was shown exactly this notice")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        purposes = self.fields["purpose"]
        notices = self.fields["notice"]
        assert isinstance(purposes, forms.ModelChoiceField)
        assert isinstance(notices, forms.ModelChoiceField)
        offered = (purposes.queryset or Purpose.objects.none()).filter(active=True)
        purposes.queryset = offered
        notices.queryset = (
            (notices.queryset or Notice.objects.none())
            .filter(
                published_at__isnull=False,
                version__gte=F("series__least_valid_version"),
                series__in=offered.values("series"),
            )
            .select_related("series")
            .order_by("series__name", "-version", "language")
        )
        scopes = self.fields["scopes"]
        assert isinstance(scopes, forms.MultipleChoiceField)
        scopes.choices = scope_choices({scope for purpose in offered for scope in purpose.scopes})


class RecordConsentForm(AnswerForm):
    subject = forms.ModelChoiceField(
        Subject.objects.none(),
        to_field_name="code",
        help_text="Code of the person; find or register them under Subjects.",
    )
    field_order = ("subject", "purpose", "notice", "scopes", "answer", "explicit", "given_at")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A list of everyone would be long and says who there is: the code is typed, and checked against what may be used.
        self.fields["subject"].widget = forms.TextInput(attrs={"size": 40, "autocomplete": "off"})


class WithdrawForm(ActForm):
    """Which scopes of one record end. All that are in force are ticked."""

    scopes = forms.MultipleChoiceField(widget=forms.CheckboxSelectMultiple)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        open_scopes = [
            scope.scope for view in records.describe([self.target]) for scope in view.scopes if scope.state == "given"
        ]
        scopes = self.fields["scopes"]
        assert isinstance(scopes, forms.MultipleChoiceField)
        scopes.choices = scope_choices(open_scopes)
        self.initial.setdefault("scopes", open_scopes)


class TermForm(ActForm):
    project = forms.ModelChoiceField(Project.objects.none())
    category = forms.ChoiceField(choices=[(c.value, c.value.replace("_", " ")) for c in DEFAULT_DAYS])
    days = forms.IntegerField(
        min_value=0, max_value=MAX_DAYS, help_text="Days after which the next sweep destroys what is older."
    )

    def clean_category(self) -> Category:
        return Category(self.cleaned_data["category"])


def _places(text: str) -> list[str]:
    return [UNKNOWN if word.lower() == UNKNOWN else word.upper() for word in text.split()]


def processing_of(form: Any) -> Processing:
    """The processing that a filled form stands for: the form knows one controller, the API any number of parties."""
    controller = Party(form["controller_name"], form["controller_address"], form["controller_contact"])
    return Processing(
        parties=[controller],
        storage_locations=form["storage_locations"],
        jurisdictions=form["jurisdictions"],
        withdrawal_method=form["withdrawal_method"],
        transfer_safeguards=form["transfer_safeguards"],
        retention_class=RetentionClass(form["retention_class"]),
    )


def answer_of(form: Any) -> Answer:
    """The answer that a filled form stands for. The hash is the notice's own: the person attests that it was shown."""
    return Answer(
        scopes=tuple(Scope(scope) for scope in form["scopes"]),
        given=form["answer"] == "given",
        explicit=form["explicit"],
        given_at=form["given_at"],
        evidence_method=EvidenceMethod(form["method"]),
        evidence_sha256=form["notice"].sha256,
        evidence_origin=form["origin"],
        jurisdiction=form["jurisdiction"],
        expires_at=form["expires_at"],
        covers_recorded_from=form["covers_recorded_from"],
    )
