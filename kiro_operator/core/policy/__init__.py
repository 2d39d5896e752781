"""What may be done: intents, the ledger of past actions, and the gates between the two."""
