"""Changes the records, and fails before it is done."""

from django.db import migrations


def half(apps, _editor):
    apps.get_model("inventory", "Item").objects.update(room="lost")
    raise RuntimeError("this migration is broken")


class Migration(migrations.Migration):
    dependencies = [("inventory", "0001_initial")]
    operations = [migrations.RunPython(half)]
