"""Reset a user's second factor: they set up the authenticator app again at the next sign-in.

For a lost phone, and for a lost key of FERNET_KEYS, with which no code can be checked any more.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from mailboxes.models import AuditEntry, CodeDevice, RecoveryCodes


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="The user name, as it is typed at sign-in.")

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["name"]).first()
        if user is None:
            raise CommandError(f"No user is named {options['name']!r}. Nothing was changed.")
        CodeDevice.objects.filter(user=user).delete()
        RecoveryCodes.objects.filter(user=user).delete()
        AuditEntry.objects.create(
            action="second factor reset", actor_name="command line", target=user.get_username(), detail="by command"
        )
        self.stdout.write(f"{user.get_username()} sets up a second factor at the next sign-in.")
