"""Where Django looks for the admin pages of this room."""

from voxgov import audit_admin, log_admin, webhooks_admin

__all__ = ("audit_admin", "log_admin", "webhooks_admin")
