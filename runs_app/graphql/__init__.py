"""The interface of the original product's client (docs/graphql.md), over the services that pages and REST use."""
