"""The engine on real interfaces: an asyncio shell around `VrrpRouter` (DESIGN §1, §3)."""
