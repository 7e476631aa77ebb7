"""Django's settings. Every value that differs between machines comes from the environment through `voxgov.environment`."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from analysis.states import AnalysisState, RecordingState
from audit.events import EventName
from audit.schema import ActorKind, ObjectKind
from consent.inventory import Category
from consent.vocabulary import (
    AccessKind,
    Context,
    GrantState,
    Ground,
    ObligationKind,
    ParticipantRole,
    PartyRole,
    PartyType,
    RestrictionGround,
    Scope,
)
from voxgov import environment, key_settings

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = environment.var_dir()

SECRET_KEY = environment.secret("SECRET_KEY")
DEBUG = False
ALLOWED_HOSTS = environment.text("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]").split(",")

INSTALLED_APPS = [
    "voxgov.apps.VoxgovConfig",
    "analysis.apps.AnalysisConfig",
    "consent.apps.ConsentConfig",
    "accounts.apps.AccountsConfig",
    "audit.apps.AuditConfig",
    "vault.apps.VaultConfig",
    "voxgov.apps.GovernedAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "guardian",
    "rest_framework",
    "knox",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "axes",
    "django_otp",
]

MIDDLEWARE = [
    "voxgov.middleware.RequestId",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "voxgov.urls"
WSGI_APPLICATION = "voxgov.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "voxgov" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# Migrations run as the owner of the tables, everything else as a role that owns nothing (SECURITY.md).
_OWNER = environment.text("VOXGOV_DB_ROLE", "app") == "owner"
DATABASES: dict[str, Any] = {
    "default": environment.database("OWNER_DATABASE_URL" if _OWNER else "DATABASE_URL"),
    "keys": environment.database("OWNER_KEYS_DATABASE_URL" if _OWNER else "KEYS_DATABASE_URL"),
}
DATABASE_ROUTERS = ["vault.router.KeysRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
    "guardian.backends.ObjectPermissionBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
ANONYMOUS_USER_NAME = None
GUARDIAN_RAISE_403 = False
# People who sign in need a second factor and set it up the first time. Off is for trials on one's own machine.
VOXGOV_SECOND_FACTOR = environment.flag("VOXGOV_SECOND_FACTOR", default=True)
AXES_FAILURE_LIMIT = 8
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_DISABLE_ACCESS_LOG = True

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
WHITENOISE_USE_FINDERS = True
STORAGES = {
    # Nothing is ever stored through Django's file storage: audio is sealed by the vault.
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

# The default handlers spool a large upload to a temporary file in the clear. Audio comes as a raw body; one form carries a file.
FILE_UPLOAD_HANDLERS = ["voxgov.middleware.SmallFilesInMemory"]
FILE_UPLOAD_TEMP_DIR = str(VAR_DIR / "tmp")
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 8 * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = environment.flag("VOXGOV_HTTPS", default=False)
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "script-src": ["'self'", "'unsafe-inline'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'self'"],
        "form-action": ["'self'"],
    }
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["voxgov.authentication.ClientTokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["accounts.api_fields.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "voxgov.problems.handle",
    "UNAUTHENTICATED_USER": None,
}
REST_KNOX = {"TOKEN_TTL": timedelta(days=90), "AUTH_HEADER_PREFIX": "Bearer", "AUTO_REFRESH": False}
SPECTACULAR_SETTINGS = {
    "TITLE": "voxgov",
    "DESCRIPTION": "Voice analytics that can prove it had permission.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": r"/v1",
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {
        "Scope": list(Scope),
        "Context": list(Context),
        "ParticipantRole": list(ParticipantRole),
        "PartyRole": list(PartyRole),
        "PartyType": list(PartyType),
        "GrantState": list(GrantState),
        "RecordingState": list(RecordingState),
        "AnalysisState": list(AnalysisState),
        "EventName": list(EventName),
        "RestrictionGround": list(RestrictionGround),
        "Ground": list(Ground),
        "AccessKind": list(AccessKind),
        "Category": list(Category),
        "ObjectKind": list(ObjectKind),
        "ObligationKind": list(ObligationKind),
        "ActorKind": list(ActorKind),
    },
    "SWAGGER_UI_SETTINGS": {"persistAuthorization": False, "deepLinking": True},
}

CELERY_BROKER_URL = environment.secret("BROKER_URL")
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_DEFAULT_QUEUE = "light"
CELERY_TASK_CREATE_MISSING_QUEUES = True
CELERY_TASK_TIME_LIMIT = 6 * 3600
CELERY_TASK_SOFT_TIME_LIMIT = 6 * 3600 - 60
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_TIMEOUT = 2.0
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3600,
    "unacked_restore_throttle": 1,
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"

VOXGOV_BLOB_DIR = VAR_DIR / "blobs"
VOXGOV_MODELS_DIR = environment.models_dir()
VOXGOV_KEY_PROVIDER = key_settings.key_provider()
VOXGOV_EPOCH_DAYS = environment.integer("VOXGOV_EPOCH_DAYS", 7, at_least=1)
VOXGOV_KEYRING_BACKUP_DAYS = environment.integer("VOXGOV_KEYRING_BACKUP_DAYS", 0)
VOXGOV_REWRAPPED_DIR = VAR_DIR / "rewrapped"
VOXGOV_JOURNAL_DIR = Path(environment.text("VOXGOV_JOURNAL", str(VAR_DIR / "journal")))
VOXGOV_CHECKPOINT_DIR = Path(environment.text("VOXGOV_CHECKPOINTS", str(VAR_DIR / "checkpoints")))
VOXGOV_WITNESSES = environment.witnesses()
VOXGOV_EXPORT_DIR = VAR_DIR / "exports"
VOXGOV_AUDIT_DAYS = environment.audit_days()
VOXGOV_LOG_ORIGIN = environment.text("VOXGOV_LOG_ORIGIN", "voxgov.localhost/log")
# Lets webhooks go to this machine, also in the clear: for tests and trials, never where others may make webhooks.
VOXGOV_WEBHOOK_LOOPBACK = environment.flag("VOXGOV_WEBHOOK_LOOPBACK", default=False)
VOXGOV_STREAMS = environment.integer("VOXGOV_STREAMS", 4)
VOXGOV_STREAMS_PER_CLIENT = environment.integer("VOXGOV_STREAMS_PER_CLIENT", 2)
VOXGOV_STREAM_SECONDS = environment.integer("VOXGOV_STREAM_SECONDS", 300)
VOXGOV_UPLOADS = environment.integer("VOXGOV_UPLOADS", 6)
VOXGOV_UPLOADS_PER_CLIENT = environment.integer("VOXGOV_UPLOADS_PER_CLIENT", 4)
VOXGOV_BODY_SECONDS = environment.integer("VOXGOV_BODY_SECONDS", 30, at_least=1)
VOXGOV_MAX_AUDIO_BYTES = environment.integer("VOXGOV_MAX_AUDIO_BYTES", 4 * 1024**3)
VOXGOV_THREADS = environment.integer("VOXGOV_THREADS", 2)
# Megabytes of engines that one model worker holds; 0 sets no limit.
VOXGOV_ENGINES_MB = environment.integer("VOXGOV_ENGINES_MB", 2000)
VOXGOV_ASR_MODEL = environment.text("VOXGOV_ASR_MODEL", "whisper-base")
VOXGOV_RECOGNIZERS = environment.words("VOXGOV_RECOGNIZERS")
VOXGOV_SOUNDS_MODEL = environment.text("VOXGOV_SOUNDS_MODEL", "yamnet")
VOXGOV_EMOTION_MODEL = environment.text("VOXGOV_EMOTION_MODEL", "acoustic-arousal")
# Without one, `voice.accent` is refused.
VOXGOV_ACCENT_MODEL = environment.text("VOXGOV_ACCENT_MODEL", "")
# A manifest of the operator's own models, in the form of analysis/engines/models.toml.
VOXGOV_OWN_MODELS = environment.text("VOXGOV_OWN_MODELS", "")
# Models under a non-commercial or unclear licence that the operator may use all the same, by name.
VOXGOV_ALLOWED_MODELS = environment.words("VOXGOV_ALLOWED_MODELS")
# Scopes whose engines a model worker loads at its start, while it already takes jobs.
VOXGOV_WARM_UP = environment.words("VOXGOV_WARM_UP", among=list(Scope))
# A change of any of these is an entry of every log (`audit.configuration`). No secrets: a digest gives a guessable one away.
VOXGOV_RECORDED: dict[str, Any] = {
    name: globals()[name]
    for name in (
        "ALLOWED_HOSTS",
        "AUTHENTICATION_BACKENDS",
        "AUTH_PASSWORD_VALIDATORS",
        "AXES_COOLOFF_TIME",
        "AXES_FAILURE_LIMIT",
        "DEBUG",
        "MIDDLEWARE",
        "VOXGOV_ACCENT_MODEL",
        "VOXGOV_ALLOWED_MODELS",
        "VOXGOV_ASR_MODEL",
        "VOXGOV_AUDIT_DAYS",
        "VOXGOV_EMOTION_MODEL",
        "VOXGOV_EPOCH_DAYS",
        "VOXGOV_KEYRING_BACKUP_DAYS",
        "VOXGOV_LOG_ORIGIN",
        "VOXGOV_MAX_AUDIO_BYTES",
        "VOXGOV_RECOGNIZERS",
        "VOXGOV_SECOND_FACTOR",
        "VOXGOV_SOUNDS_MODEL",
        "VOXGOV_STREAMS",
        "VOXGOV_STREAMS_PER_CLIENT",
        "VOXGOV_WEBHOOK_LOOPBACK",
        "VOXGOV_WITNESSES",
    )
} | {
    "VOXGOV_KEY_PROVIDER": VOXGOV_KEY_PROVIDER["kind"],
    "VOXGOV_OWN_MODELS": environment.contents(VOXGOV_OWN_MODELS, "VOXGOV_OWN_MODELS"),
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"()": "voxgov.logs.PlainFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        "django.request": {"level": "ERROR"},
        "axes": {"level": "WARNING"},
        "celery": {"level": "INFO"},
        "kombu": {"level": "WARNING"},
    },
}
