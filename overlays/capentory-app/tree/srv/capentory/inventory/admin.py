"""Pages below /admin/: people and their rights, and the items once more."""

from django.contrib import admin

from .models import Item

admin.site.site_header = "Inventory"


@admin.register(Item)
class ItemAdmin(admin.ModelAdmin):
    list_display = ["number", "name", "kind", "room", "holder", "state"]
    list_filter = ["state", "kind", "room"]
    search_fields = ["number", "name", "serial", "holder"]
