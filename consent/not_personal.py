"""Every field that holds nothing personal, with the reason. A field that stands neither here nor in a holder fails a test."""

from consent.inventory import declare_not_personal

_KEYS_AND_TIES = {
    "analysis.Recording": "id project receiving_blob",
    "analysis.Participant": "id",
    "analysis.Analysis": "id fencing_token lease_until rung_at",
    "analysis.Result_participants": "id",
    "analysis.Result": "id analysis made_from",
    "analysis.TranscriptionHints": "id",
    "consent.Subject": "id project",
    "consent.ImportedRow": "id project grant_import",
    "consent.ConsentRecord": "id project purpose notice",
    "consent.Grant": "id record revision",
    "consent.GrantUse": "id number",
    "consent.LostEnding": "id purpose",
    "consent.SpokenStatement": "id fencing_token lease_until rung_at",
    "consent.Ending": "id project",
    "consent.CurrentGrant": "id purpose",
    "consent.Representation": "id project",
    "consent.RestrictedRole": "id",
    "consent.Voiceprint": "id",
    "consent.RoleChange": "id code project",
    "consent.Decision": "id project policy_epoch rule_set",
    "consent.DestructionOrder": "id code organization project purpose scopes reason ending ordered_at done_at destroyed shreds"
    " unrecoverable_from",
    "accounts.User": "id organization is_superuser is_staff is_active",
    "accounts.User_groups": "id user group",
    "accounts.User_user_permissions": "id user permission",
    "accounts.Membership": "id project created_at",
    "accounts.Authenticator": "id",
    "accounts.RecoveryCode": "id",
    "accounts.BreakGlass": "id code organization cause",
    "accounts.ProjectUserObjectPermission": "id permission content_object",
    "audit.EventReference": "id event log kind",
    "axes.AccessAttempt": "id",
    "axes.AccessFailureLog": "id",
    "axes.AccessLog": "id",
    "axes.AccessAttemptExpiration": "access_attempt expires_at",
}

_RULES_OF_THE_HOUSE = {
    "consent.RenewalRun": "id series version total done after begun_at finished_at",
    "consent.EditorialPublication": "id code project notice asked_at approved_at turned_down_at",
    "consent.GrantImport": (
        "id code project state rows new_people problem_count after recorded repeated failed lease_until "
        "asked_at approved_at turned_down_at finished_at"
    ),
    "consent.NoticeSeries": "id code project name least_valid_version",
    "consent.Notice": "id code project series version language title text required_phrase material sha256 created_at published_at",
    "consent.Purpose": (
        "id code project series name description lawful_basis scopes contexts recipients jurisdictions parties "
        "storage_locations withdrawal_method retention_class collection_method processing_method processing_locations "
        "geographic_restrictions transfer_safeguards rights supervisory_authority optional_scopes ground deidentified "
        "high_risk dpia_reference active changed_at created_at"
    ),
    "consent.RetentionSchedule": "id project version terms sha256 published_at",
    "consent.RetentionPolicy": "id project category days",
    "consent.BulkWithdrawal": (
        "id code project purpose scopes newest_record subjects_counted grants_counted asked_at begun_at after subjects_done "
        "grants_done finished_at seen_at"
    ),
    "consent.RuleSet": "id project version rules changed_at",
    "consent.Breach": "id code project registered_at overdue_recorded_at",
    "consent.BreachRevision": (
        "id code breach number at aware_at kinds data_categories people people_count records_count risk authority_notified_at "
        "persons_notified_at not_told stated"
    ),
    "consent.ProjectRecord": "id code organization name created_at",
    "accounts.Organization": "id code name policy_epoch created_at",
    "accounts.Project": "id code organization name created_at",
    "accounts.ApiClient": "id code project user name roles created_at revoked_at",
    "audit.Webhook": (
        "id code log url names enabled disabled_reason disabled_at generation index failures failing_since next_attempt_at "
        "last_outcome last_attempt_at last_delivered_at ping served_at lease_until turn created_at"
    ),
    "audit.WebhookSecret": "id code webhook secret created_at expires_at",
    "audit.WebhookDelivery": "id webhook message test generation index attempt at milliseconds outcome status",
}

_ACTORS = {
    "consent.Grant": "actor_kind actor_code",
    "consent.Ending": "actor_kind actor_code",
    "consent.BulkWithdrawal": "asked_by_kind asked_by_code begun_by_kind begun_by_code seen_by_code",
    "consent.RoleChange": "asked_by_kind asked_by_code approved_by_code turned_down_by_code",
    "consent.GrantImport": "asked_by_kind asked_by_code approved_by_code turned_down_by_code",
    "consent.EditorialPublication": "asked_by_kind asked_by_code approved_by_code turned_down_by_code",
    "consent.BreachRevision": "actor_kind actor_code",
    "consent.Decision": "actor_kind actor_code",
    "audit.Event": "actor_kind",
}

_TRAIL = {
    "audit.Event": "id code log at name outcome request_id entry",
    "audit.Unsequenced": "event log",
    "audit.Log": "id code generation origin minimum_index begun_at",
    "audit.Leaf": "event log index hash",
    "audit.FullTile": "id log level index hashes root",
    "audit.SignedCheckpoint": "id log size note signed_at",
    "audit.Cosignature": "id checkpoint witness line received_at",
    "audit.Export": "id code log start end filter recipient actor_kind actor_code created_at state done_entries lease_until"
    " attempts finished_at size sha256 error_code",
}

_VAULT = {
    "vault.DataKey": "id organization key_class owner scope generation epoch wrapped created_at",
    "vault.Epoch": "number begun_at retired_at destroyed_at",
    "vault.ShredOrder": "id code organization key_class owner scope reason ordered_at done_at certificate",
    "vault.SealedBlob": "id code organization key_class owners scope plaintext_size sealed_size sha256 created_at",
}

_JOURNAL = {"vault.JournalNote": "id kind body at", "vault.JournalMark": "id number"}

_MODELS = {"analysis.Result": "model"}

_NEVER_WRITTEN = {
    "admin.LogEntry": "id action_time user content_type object_id object_repr action_flag change_message",
    "guardian.UserObjectPermission": "id permission content_type object_pk user",
    "guardian.GroupObjectPermission": "id permission content_type object_pk group",
}

_DJANGO = {
    "auth.Permission": "id name content_type codename",
    "auth.Group_permissions": "id group permission",
    "auth.Group": "id name",
    "contenttypes.ContentType": "id app_label model",
}


def declare_fields_that_hold_nothing_personal() -> None:
    for reason, group in (
        (
            "A key or a tie between rows, or a switch; it says nothing without the row that it belongs to.",
            _KEYS_AND_TIES,
        ),
        ("It describes the organization's own rules, texts and programs, never a person.", _RULES_OF_THE_HOUSE),
        ("It names the program or member of staff who acted, by an opaque code.", _ACTORS),
        ("Entries name nobody: everything personal is blinded before it is written.", _TRAIL),
        ("Wrapped keys, orders and files are known by opaque codes that have to outlive the data.", _VAULT),
        ("It waits milliseconds for the journal, and names opaque codes only.", _JOURNAL),
        ("It describes the model that made a result.", _MODELS),
        ("Never written: the trail takes its place; a test says so.", _NEVER_WRITTEN),
        ("Django's own registry of models and permissions.", _DJANGO),
    ):
        for model, names in group.items():
            declare_not_personal(reason, *(f"{model}.{name}" for name in names.split()))
