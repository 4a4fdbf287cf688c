from django.apps import AppConfig


class MailboxesConfig(AppConfig):
    name = "mailboxes"
    verbose_name = "Mailboxes"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from mailboxes import checks  # noqa: F401, PLC0415  # registers the system checks
