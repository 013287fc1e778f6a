"""Adapters: a receiver as a view, an endpoint or a handler of a framework, given the raw body."""
