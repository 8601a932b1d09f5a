"""Pure rules of the product: no clock, no network, no database."""
