"""For people who test programs that send texts: `hushwire` as a pytest fixture.

`plugin` is found by pytest itself. `server` and `receiver` do without pytest.
"""
