"""Routes. Everything under `/v1/` is the API; what is not here is a problem, too."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from analysis import api as analysis
from analysis import api_uploads as uploads
from consent import api as consent
from consent import api_accesses as accesses
from consent import api_breaches as breaches
from consent import api_bulk_withdrawals as bulk
from consent import api_decisions as decisions
from consent import api_notices as notices
from consent import api_processing_record as processing_record
from consent import api_receipts as receipts_api
from consent import api_representatives as representatives
from consent import api_restriction as restriction
from consent import api_retention as retention
from consent import api_rule_sets as rule_sets
from consent import receipts, schedule
from voxgov import audit_api, audit_stream, docs_pages, exports_api, health, log_api, webhooks_api

v1: list[URLPattern | URLResolver] = [
    path("notices", notices.Notices.as_view()),
    path("notices/<uuid:code>", notices.OneNotice.as_view()),
    path("notices/<uuid:code>/publish", notices.NoticePublication.as_view()),
    path("notices/<uuid:code>/publish-preview", notices.NoticePublicationPreview.as_view()),
    path("rule-set", rule_sets.ProjectRuleSet.as_view()),
    path("rule-set:preview", rule_sets.RuleSetPreview.as_view()),
    path("notices/<uuid:code>/editorial-publication", notices.NoticeEditorialPublication.as_view()),
    path("purposes", notices.Purposes.as_view()),
    path("purposes/<uuid:code>", notices.OnePurpose.as_view()),
    path("subjects", consent.Subjects.as_view()),
    path("subjects/lookup", consent.SubjectLookup.as_view()),
    path("subjects/<uuid:code>", consent.OneSubject.as_view()),
    path("subjects/<uuid:code>/withdraw", consent.SubjectWithdrawal.as_view()),
    path("subjects/<uuid:code>/restrict", restriction.SubjectRestriction.as_view()),
    path("subjects/<uuid:code>/lift-restriction", restriction.SubjectRestrictionEnd.as_view()),
    path("subjects/<uuid:code>/access", accesses.SubjectAccess.as_view()),
    path("subjects/<uuid:code>/events", consent.SubjectEvents.as_view()),
    path("subjects/<uuid:code>/role-changes", consent.SubjectRoleChange.as_view()),
    path("subjects/<uuid:code>/representatives", representatives.SubjectRepresentatives.as_view()),
    path("representatives/<uuid:code>/end", representatives.RepresentativeEnd.as_view()),
    path("consents", consent.Consents.as_view()),
    path("consents/<uuid:code>", consent.OneConsent.as_view()),
    path("consent-requests", consent.ConsentRequests.as_view()),
    path("consents/<uuid:code>/receipt", receipts_api.ConsentReceipt.as_view()),
    path("endings/<uuid:code>", receipts_api.OneEnding.as_view()),
    path("endings/<uuid:code>/receipt", receipts_api.EndingReceipt.as_view()),
    path("consents/<uuid:code>/statement", uploads.ConsentStatement.as_view()),
    path("consents/<uuid:code>/record", consent.FullConsentRecord.as_view()),
    path("consents/<uuid:code>/defer", consent.ConsentDeferral.as_view()),
    path("consents/<uuid:code>/invalidate", consent.ConsentInvalidation.as_view()),
    path("consents/<uuid:code>/withdraw", consent.ConsentWithdrawal.as_view()),
    path("bulk-withdrawals", bulk.BulkWithdrawals.as_view()),
    path("bulk-withdrawals/<uuid:code>", bulk.OneBulkWithdrawal.as_view()),
    path("bulk-withdrawals/<uuid:code>/execute", bulk.BulkWithdrawalExecution.as_view()),
    path("decisions", decisions.Decisions.as_view()),
    path("decisions:dry-run", decisions.DryRun.as_view()),
    path("decisions/<uuid:code>", decisions.OneDecision.as_view()),
    path("breaches", breaches.Breaches.as_view()),
    path("breaches/<uuid:code>", breaches.OneBreach.as_view()),
    path("breaches/<uuid:code>/revisions", breaches.BreachRevisions.as_view()),
    path("processing-record", processing_record.ProjectProcessingRecord.as_view()),
    path("retention-schedule", retention.PublicSchedule.as_view()),
    path("retention-policies", retention.RetentionPolicies.as_view()),
    path("retention-policies/<str:category>", retention.OneRetentionPolicy.as_view()),
    path("recordings", analysis.Recordings.as_view()),
    path("recordings/<uuid:code>", analysis.OneRecording.as_view()),
    path("recordings/<uuid:code>/audio", analysis.RecordingAudio.as_view(), name="recording-audio"),
    path("recordings/<uuid:code>/timeline", analysis.RecordingTimeline.as_view()),
    path("analyses", analysis.Analyses.as_view()),
    path("analyses/<uuid:code>", analysis.OneAnalysis.as_view()),
    path("analyses/<uuid:code>/cancel", analysis.AnalysisCancellation.as_view()),
    path("analyses/<uuid:code>/results", analysis.AnalysisResults.as_view()),
    path("analyses/<uuid:code>/transcript", analysis.AnalysisTranscript.as_view()),
    path("analyses/<uuid:code>/timeline", analysis.AnalysisTimeline.as_view()),
    path("webhooks", webhooks_api.Webhooks.as_view()),
    path("webhooks/<uuid:code>", webhooks_api.OneWebhook.as_view()),
    path("webhooks/<uuid:code>/rotate", webhooks_api.WebhookRotation.as_view()),
    path("webhooks/<uuid:code>/enable", webhooks_api.WebhookEnabling.as_view()),
    path("webhooks/<uuid:code>/disable", webhooks_api.WebhookDisabling.as_view()),
    path("webhooks/<uuid:code>/test", webhooks_api.WebhookTest.as_view()),
    path("webhooks/<uuid:code>/deliveries", webhooks_api.WebhookDeliveries.as_view()),
    path("audit/events", audit_api.Events.as_view()),
    path("audit/events/<uuid:code>", audit_api.OneEvent.as_view()),
    path("audit/events/<uuid:code>/proof", log_api.EventProof.as_view()),
    path("audit/exports", exports_api.Exports.as_view()),
    path("audit/exports/<uuid:code>", exports_api.OneExport.as_view()),
    path("audit/exports/<uuid:code>/file", exports_api.ExportFile.as_view()),
    path("audit/stream", audit_stream.Stream.as_view()),
    path("audit/log", log_api.Logs.as_view()),
    path("audit/log/<int:generation>/checkpoint", log_api.LogCheckpoint.as_view()),
    path("audit/log/<int:generation>/consistency", log_api.LogConsistency.as_view()),
    path("audit/log/<int:generation>/tile/<path:tile>", log_api.LogTile.as_view()),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("v1/", include(v1)),
    path("v1/schema/", docs_pages.Schema.as_view(), name="schema"),
    path("v1/docs/", docs_pages.Docs.as_view(url_name="schema"), name="docs"),
    path(".well-known/voxgov-receipts.json", receipts.published_keys),
    path("policies/<uuid:project>/retention", schedule.public_page),
    path("problems/<slug:code>", docs_pages.problem_page),
    path("health/live", health.Live.as_view()),
    path("health/ready", health.Ready.as_view()),
    path("admin/", admin.site.urls),
]

handler400 = "voxgov.problems.bad_request"
handler404 = "voxgov.problems.not_found"
handler500 = "voxgov.problems.server_error"
