"""What the pages of all apps share: forms of declared parameters, responses, and how values are written."""
