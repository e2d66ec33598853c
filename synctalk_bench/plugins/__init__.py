"""How components register (``hookspecs``) and how the harness finds them (``manager``)."""
