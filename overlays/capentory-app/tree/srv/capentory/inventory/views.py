"""Pages."""

import csv

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.mixins import LoginRequiredMixin
from django.core.cache import cache
from django.db import connection
from django.db.models import Q
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse_lazy
from django.views.decorators.cache import never_cache
from django.views.generic import CreateView, DeleteView, FormView, ListView, UpdateView

from .forms import COLUMNS, ImportForm, ItemForm
from .models import Item

SEARCHED = ["number", "name", "kind", "room", "holder", "serial", "notes"]


def found(words):
    """The items that have every word, wherever it stands."""
    items = Item.objects.all()
    for word in words.split():
        anywhere = Q()
        for field in SEARCHED:
            anywhere |= Q(**{f"{field}__icontains": word})
        items = items.filter(anywhere)
    return items


class ItemList(LoginRequiredMixin, ListView):
    template_name = "items.html"
    context_object_name = "items"

    def get_paginate_by(self, queryset):
        """All on one page when it is to be printed."""
        return None if "all" in self.request.GET else 50

    def get_queryset(self):
        return found(self.request.GET.get("q", ""))

    def get_context_data(self, **more):
        context = super().get_context_data(**more)
        return {**context, "q": self.request.GET.get("q", ""), "total": self.get_queryset().count()}


class Saved(LoginRequiredMixin):
    model = Item
    form_class = ItemForm
    template_name = "item.html"
    success_url = reverse_lazy("items")

    def form_valid(self, form):
        answer = super().form_valid(form)
        messages.success(self.request, f"{self.object} is saved.")
        return answer


class ItemCreate(Saved, CreateView):
    pass


class ItemUpdate(Saved, UpdateView):
    pass


class ItemDelete(LoginRequiredMixin, DeleteView):
    model = Item
    template_name = "delete.html"
    success_url = reverse_lazy("items")


class ItemImport(LoginRequiredMixin, FormView):
    form_class = ImportForm
    template_name = "import.html"

    def get_context_data(self, **more):
        return {**super().get_context_data(**more), "columns": COLUMNS}

    def form_valid(self, form):
        made, changed, wrong = form.save()
        if wrong:
            for line in wrong[:20]:
                form.add_error("file", line)
            return self.form_invalid(form)
        messages.success(self.request, f"{made} items are new, {changed} are changed.")
        return redirect("items")


@login_required
def export(request):
    """What was searched for, as a file that can be imported again."""
    answer = HttpResponse(content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = 'attachment; filename="inventory.csv"'
    lines = csv.writer(answer)
    lines.writerow(COLUMNS)
    for item in found(request.GET.get("q", "")):
        lines.writerow(["" if value is None else value for value in (getattr(item, name) for name in COLUMNS)])
    return answer


def works(part):
    """Whether it does its work; why not is for the journal and not for whoever asks."""
    try:
        part()
    except Exception as error:
        print(f"health: {error}", flush=True)
        return "failed"
    return "ok"


@never_cache
def health(_request):
    """For the container's health check and the monitoring."""

    def database():
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    def stored():
        cache.set("health", "ok", 10)
        if cache.get("health") != "ok":
            raise ValueError("the cache forgets")

    parts = {"database": works(database), "cache": works(stored)}
    good = all(state == "ok" for state in parts.values())
    return JsonResponse({"status": "ok" if good else "failed", **parts}, status=200 if good else 503)
