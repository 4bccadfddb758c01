"""Addresses of pages."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from . import views

urlpatterns = [
    path("", views.ItemList.as_view(), name="items"),
    path("new/", views.ItemCreate.as_view(), name="new"),
    path("item/<int:pk>/", views.ItemUpdate.as_view(), name="item"),
    path("item/<int:pk>/delete/", views.ItemDelete.as_view(), name="delete"),
    path("import/", views.ItemImport.as_view(), name="import"),
    path("export.csv", views.export, name="export"),
    path("login/", LoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("health/", views.health, name="health"),
    path("admin/", admin.site.urls),
]
