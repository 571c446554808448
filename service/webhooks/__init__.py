"""Webhooks: signed messages about jobs, sent to addresses of their owners.

`outbox` writes a message in the transaction of the event (transactional outbox), `deliveries` claims and retries it,
`sending` posts it (no private networks), `signatures` signs it, `endpoints` manages the addresses: registered ones,
and one signing secret per owner for addresses in requests.
"""
