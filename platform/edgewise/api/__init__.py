"""What all REST resources share: authentication, problems, pages, idempotency."""
