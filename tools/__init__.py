"""Tools that generate what is committed from what is written."""
