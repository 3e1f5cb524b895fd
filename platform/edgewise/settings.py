"""Django settings: one file, read from the environment (`docs/configuration.md` lists what may be set)."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import dj_database_url
import django_stubs_ext
from django.core.exceptions import ImproperlyConfigured

from edgewise import environment, logs, mail
from edgewise.mail import MailServer
from edgewise.security import static_headers

# Makes Django's generic classes subscriptable at run time, as the type checker sees them.
django_stubs_ext.monkeypatch()

ROOT = Path(__file__).resolve().parents[2]
HOME = Path(environment.text("EDGEWISE_HOME", str(ROOT / ".edgewise"))).resolve()

DEBUG = environment.flag("EDGEWISE_DEBUG", False)
SECRET_KEY = environment.text("EDGEWISE_SECRET_KEY")
# The launcher and health checks ask on the machine itself, whatever names browsers use.
ALLOWED_HOSTS = [*environment.names("EDGEWISE_ALLOWED_HOSTS", ""), "localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = environment.names("EDGEWISE_TRUSTED_ORIGINS", "")

INSTALLED_APPS = [
    "edgewise.accounts",
    "edgewise.jobs",
    "edgewise.web",
    "datasets_app",
    "runs_app",
    "deploy_app",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.usersessions",
    "django_htmx",
    "django_filters",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "edgewise.web.middleware.CompressedPages",
    "edgewise.security.ContentSecurityPolicy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "edgewise.accounts.middleware.CurrentWorkspace",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "edgewise.web.middleware.UserErrorPages",
]

ROOT_URLCONF = "edgewise.urls"
ASGI_APPLICATION = "edgewise.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "frontend" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "edgewise.jobs.context.workers",
            ],
        },
    },
]

# --- data -------------------------------------------------------------------------------------------------------------

DATABASES: dict[str, Any] = {
    "default": dj_database_url.parse(
        # Each request has a thread of its own, so a connection that outlived it would never be used again.
        environment.url("DATABASE_URL", None, ("postgres", "postgresql")),
        conn_max_age=0,
    ),
}
DATABASES["default"].setdefault("OPTIONS", {})["connect_timeout"] = 5
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = environment.url("REDIS_URL", None, ("redis", "rediss", "unix"))

STORAGE_URL = environment.url("EDGEWISE_STORAGE_URL", f"file:{HOME / 'store'}", ("file", "s3"))
CACHE_FOLDER = HOME / "cache"
MAX_UPLOAD = environment.size("EDGEWISE_MAX_UPLOAD", "8G")
UPLOAD_FOLDER = HOME / "uploads"
FILE_UPLOAD_TEMP_DIR = HOME / "tmp"
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.TemporaryFileUploadHandler"]
FILE_UPLOAD_TEMP_DIR.mkdir(parents=True, exist_ok=True)


def _storage(address: str) -> dict[str, Any]:
    parts = urlsplit(address)
    if parts.scheme == "file":
        return {"BACKEND": "edgewise.storage.AtomicFileSystemStorage", "OPTIONS": {"location": parts.path}}
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    options = {"bucket_name": parts.netloc, "location": parts.path.strip("/"), "file_overwrite": True}
    if "endpoint" in query:
        options["endpoint_url"] = query["endpoint"]
    return {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}


STORAGES = {
    "default": _storage(STORAGE_URL),
    "staticfiles": {"BACKEND": "edgewise.static.CompressedHashedStorage"},
}

# --- static files -----------------------------------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = HOME / "static"
STATICFILES_DIRS = [ROOT / "frontend" / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "edgewise.static.PlotlyFinder",
]
WHITENOISE_ADD_HEADERS_FUNCTION = static_headers

# --- accounts ---------------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_ADAPTER = "edgewise.accounts.adapter.AccountAdapter"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_RATE_LIMITS = {"device_code": "20/m/ip", "device_token": "120/m/ip", "device_decision": "20/m/user"}
# Tracking would write to the database with every request.
USERSESSIONS_TRACK_ACTIVITY = False
SIGNUP_OPEN = environment.flag("EDGEWISE_SIGNUP", True)
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/datasets/"
ACCOUNT_LOGOUT_REDIRECT_URL = LOGIN_URL
SESSION_COOKIE_SAMESITE = "Lax"
# Behind TLS the proxy says so; on a laptop there is none, and secure cookies would lock people out.
HTTPS = environment.flag("EDGEWISE_HTTPS", False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
# The limits of signing in count the address that the proxy saw, which nobody but the proxy can write.
ALLAUTH_TRUSTED_PROXY_COUNT = 1 if HTTPS else 0
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

_mail = MailServer.of(environment.url("EDGEWISE_EMAIL_URL", "console:", mail.SCHEMES))
EMAIL_BACKEND = _mail.backend
EMAIL_HOST, EMAIL_PORT = _mail.host, _mail.port
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _mail.user, _mail.password
EMAIL_USE_TLS, EMAIL_USE_SSL = _mail.starts_tls, _mail.speaks_tls
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = environment.text("EDGEWISE_EMAIL_FROM", "edgewise@localhost")

# --- REST -------------------------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "edgewise.api.authentication.TokenAuthentication",
        "edgewise.api.authentication.BrowserSession",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["edgewise.api.authentication.MayReadOrWrite"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["edgewise.api.parsers.ShallowJSONParser", "rest_framework.parsers.MultiPartParser"],
    "DEFAULT_PAGINATION_CLASS": "edgewise.api.pagination.NewestFirst",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "edgewise.api.problems.handle",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    # `?format=csv` is for our own views to read.
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Edgewise",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "edgewise.api.schema.complete"],
}

# --- jobs -------------------------------------------------------------------------------------------------------------

CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_DISABLE_PREFETCH = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TIMEZONE = "UTC"
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "global_keyprefix": "edgewise:",
    "socket_connect_timeout": 3,
    # A request that sends a task does not wait for Redis to come back: the outbox does.
    "max_retries": 1,
    "interval_start": 0,
}
CELERY_TASK_DEFAULT_QUEUE = "maintenance"
CELERY_BEAT_SCHEDULE = {
    "recover-jobs": {"task": "edgewise.recover_jobs", "schedule": 5.0, "options": {"expires": 5}},
    "tidy": {"task": "edgewise.tidy", "schedule": 3600.0, "options": {"expires": 600}},
}
JOB_LEASE_SECONDS = 15
TRAINING_BACKEND = environment.choice("EDGEWISE_BACKEND", "tensorflow", ("tensorflow", "jax"))
if find_spec(TRAINING_BACKEND) is None:
    raise ImproperlyConfigured(
        f"EDGEWISE_BACKEND is {TRAINING_BACKEND}, which is not installed: install the extra of that name."
    )
JOB_QUEUE_LIMIT = environment.integer("EDGEWISE_QUEUE_LIMIT", 100, minimum=1)

# --- the rest ---------------------------------------------------------------------------------------------------------

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True
LOGGING = logs.configuration(environment.text("EDGEWISE_LOG_LEVEL", "INFO"))
DATA_UPLOAD_MAX_MEMORY_SIZE = 2**20
