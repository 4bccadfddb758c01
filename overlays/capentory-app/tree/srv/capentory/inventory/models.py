"""What the inventory knows."""

from django.db import models


class Item(models.Model):
    """One thing of the school's, with a number on it."""

    class State(models.TextChoices):
        IN_USE = "in use", "in use"
        IN_STOCK = "in stock", "in stock"
        IN_REPAIR = "in repair", "in repair"
        GONE = "gone", "sold, lost or scrapped"

    number = models.CharField("inventory number", max_length=40, unique=True)
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=60, blank=True)
    room = models.CharField(max_length=40, blank=True)
    holder = models.CharField("who has it", max_length=80, blank=True)
    serial = models.CharField("serial number", max_length=80, blank=True)
    acquired = models.DateField(null=True, blank=True)
    state = models.CharField(max_length=20, choices=State.choices, default=State.IN_USE)
    notes = models.TextField(blank=True)
    changed = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["number"]

    def __str__(self):
        return f"{self.number} {self.name}"
