"""All SQL. Every stored query takes the tenant's id first."""
