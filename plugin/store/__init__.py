"""All SQL. Whatever a tenant's page or command can ask for takes the tenant's id first."""
