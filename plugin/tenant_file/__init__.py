"""A tenant's configuration as YAML: read, check, compare, write."""

from plugin.tenant_file.apply import Applied, apply_configuration, stored_document
from plugin.tenant_file.check import RESEND_WARNING, CheckedTenant, check_document, may_ask_twice
from plugin.tenant_file.compare import Change, compare_documents
from plugin.tenant_file.document import dump_document, empty_document, read_document
from plugin.tenant_file.pasted import Imported, import_url, with_variables

__all__ = [
    "RESEND_WARNING",
    "Applied",
    "Change",
    "CheckedTenant",
    "Imported",
    "apply_configuration",
    "check_document",
    "compare_documents",
    "dump_document",
    "empty_document",
    "import_url",
    "may_ask_twice",
    "read_document",
    "stored_document",
    "with_variables",
]
