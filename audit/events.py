"""The name of every audit event, in `subject:thing:action` form. Nothing else may name one."""

from enum import StrEnum


class EventName(StrEnum):
    """Names are part of the frozen entry schema: members may be added, never renamed or reused."""

    # accounts
    ORGANIZATION_CREATED = "accounts:organization:created"
    PROJECT_CREATED = "accounts:project:created"
    MEMBER_ADDED = "accounts:member:added"
    MEMBER_REMOVED = "accounts:member:removed"
    CLIENT_CREATED = "accounts:client:created"
    CLIENT_REVOKED = "accounts:client:revoked"
    TOKEN_ISSUED = "accounts:token:issued"  # noqa: S105 (an event name, not a secret)
    LOGIN_SUCCEEDED = "accounts:login:succeeded"
    LOGIN_FAILED = "accounts:login:failed"

    # consent
    SUBJECT_REGISTERED = "consent:subject:registered"
    SUBJECT_REVEALED = "consent:subject:revealed"
    SUBJECT_ERASED = "consent:subject:erased"
    REPRESENTATIVE_REGISTERED = "consent:representative:registered"
    REPRESENTATIVE_ENDED = "consent:representative:ended"
    ROLE_CHANGE_ASKED = "consent:role-change:asked"
    ROLE_CHANGE_APPROVED = "consent:role-change:approved"
    NOTICE_DRAFTED = "consent:notice:drafted"
    NOTICE_PUBLISHED = "consent:notice:published"
    PURPOSE_CREATED = "consent:purpose:created"
    PURPOSE_CHANGED = "consent:purpose:changed"
    GRANT_GIVEN = "consent:grant:given"
    GRANT_REFUSED = "consent:grant:refused"
    GRANT_REQUESTED = "consent:grant:requested"
    GRANT_WITHDRAWN = "consent:grant:withdrawn"
    GRANT_EXPIRED = "consent:grant:expired"
    GRANT_INVALIDATED = "consent:grant:invalidated"
    GRANT_RENEWAL_DUE = "consent:grant:renewal-due"
    STATEMENT_RECEIVED = "consent:statement:received"
    STATEMENT_HEARD = "consent:statement:heard"
    RECEIPT_ISSUED = "consent:receipt:issued"
    DECISION_ALLOWED = "consent:decision:allowed"
    DECISION_DENIED = "consent:decision:denied"
    DATA_DESTROYED = "consent:data:destroyed"
    RETENTION_POLICY_CHANGED = "consent:retention-policy:changed"
    RETENTION_SCHEDULE_PUBLISHED = "consent:retention-schedule:published"
    RETENTION_DESTROYED = "consent:retention:destroyed"

    # vault
    KEY_DESTROYED = "vault:key:destroyed"
    KEY_EPOCH_BEGUN = "vault:epoch:begun"
    KEY_EPOCH_DESTROYED = "vault:epoch:destroyed"

    # analysis
    RECORDING_CREATED = "analysis:recording:created"
    RECORDING_COMPLETED = "analysis:recording:completed"
    RECORDING_DELETED = "analysis:recording:deleted"
    ANALYSIS_QUEUED = "analysis:job:queued"
    ANALYSIS_CLAIMED = "analysis:job:claimed"
    ANALYSIS_REQUEUED = "analysis:job:requeued"
    ANALYSIS_DENIED = "analysis:job:denied"
    ANALYSIS_FAILED = "analysis:job:failed"
    ANALYSIS_CANCELLED = "analysis:job:cancelled"
    RESULTS_COMMITTED = "analysis:results:committed"
    RESULTS_READ = "analysis:results:read"

    # audit
    TRAIL_READ = "audit:trail:read"
    EXPORT_ORDERED = "audit:export:ordered"
    EXPORT_READ = "audit:export:read"
    LOG_CONTINUED = "audit:log:continued"
    LOG_PRUNED = "audit:log:pruned"
    CONFIGURATION_CHANGED = "audit:configuration:changed"
    WEBHOOK_CREATED = "audit:webhook:created"
    WEBHOOK_CHANGED = "audit:webhook:changed"
    WEBHOOK_ROTATED = "audit:webhook:rotated"
    WEBHOOK_ENABLED = "audit:webhook:enabled"
    WEBHOOK_DISABLED = "audit:webhook:disabled"
    WEBHOOK_DELETED = "audit:webhook:deleted"
