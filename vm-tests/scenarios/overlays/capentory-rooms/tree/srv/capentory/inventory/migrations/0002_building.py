"""Rooms are told with their building."""

from django.db import migrations
from django.db.models import Value
from django.db.models.functions import Concat


def with_building(apps, _editor):
    items = apps.get_model("inventory", "Item").objects
    items.exclude(room="").update(room=Concat(Value("A "), "room"))


class Migration(migrations.Migration):
    dependencies = [("inventory", "0001_initial")]
    operations = [migrations.RunPython(with_building)]
