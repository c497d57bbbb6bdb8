"""What people do. Every function takes a Work first, awaits only the store, and decides."""
