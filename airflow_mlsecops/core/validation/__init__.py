"""Data validation in parts: verdict rules, engines, what they return, and the reports made of it."""
