"""The consent room's admin pages, each in a module of its own; Django looks for them here. Every change that a page makes is one
call of a domain function.
"""

from consent import (
    admin_approvals,
    admin_breaches,
    admin_bulk,
    admin_outcomes,
    admin_policy,
    admin_processing_record,
    admin_records,
    admin_representatives,
    admin_subjects,
)

__all__ = (
    "admin_approvals",
    "admin_breaches",
    "admin_bulk",
    "admin_outcomes",
    "admin_policy",
    "admin_processing_record",
    "admin_records",
    "admin_representatives",
    "admin_subjects",
)
