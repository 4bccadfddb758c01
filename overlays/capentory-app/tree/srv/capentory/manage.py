#!/usr/bin/python3
"""Commands of the inventory: `podman exec app python3 /srv/capentory/manage.py help`."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "inventory.settings")
    execute_from_command_line(sys.argv)
