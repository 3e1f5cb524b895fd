"""Accounts: users, workspaces, memberships and tokens."""
