"""Fakes and boards that several test files stand on; nothing here is a test."""
