"""Catalogues that products are handed to: the Project Results Repository and the Open Science Catalog."""
