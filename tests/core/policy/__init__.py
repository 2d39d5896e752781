"""Tests of the policy: gates, ladder, windows, remedies."""
