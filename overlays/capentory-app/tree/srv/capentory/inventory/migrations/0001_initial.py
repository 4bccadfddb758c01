"""The first table."""

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Item",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.CharField(max_length=40, unique=True, verbose_name="inventory number")),
                ("name", models.CharField(max_length=120)),
                ("kind", models.CharField(blank=True, max_length=60)),
                ("room", models.CharField(blank=True, max_length=40)),
                ("holder", models.CharField(blank=True, max_length=80, verbose_name="who has it")),
                ("serial", models.CharField(blank=True, max_length=80, verbose_name="serial number")),
                ("acquired", models.DateField(blank=True, null=True)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("in use", "in use"),
                            ("in stock", "in stock"),
                            ("in repair", "in repair"),
                            ("gone", "sold, lost or scrapped"),
                        ],
                        default="in use",
                        max_length=20,
                    ),
                ),
                ("notes", models.TextField(blank=True)),
                ("changed", models.DateTimeField(auto_now=True)),
            ],
            options={"ordering": ["number"]},
        )
    ]
