"""Before the application starts: waits for the database, brings its tables up to date, and makes the first account."""

import time

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import OperationalError, connection

from inventory.settings import secret


class Command(BaseCommand):
    help = __doc__

    def handle(self, *_args, **_options):
        for attempt in range(60):
            try:
                connection.ensure_connection()
                break
            except OperationalError as error:
                if attempt == 59:
                    raise
                self.stdout.write(f"waiting for the database: {error}")
                time.sleep(2)
        call_command("migrate", interactive=False, verbosity=1)
        people = get_user_model().objects
        if not people.filter(is_superuser=True).exists():
            people.create_superuser("admin", password=secret("admin-password"))
            self.stdout.write("the account `admin` was made; its password is that of the credential")
