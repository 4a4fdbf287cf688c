"""What an attacker types (FACTS D1 to D4, D9): tried on the connector, and on every form that takes a host."""

from __future__ import annotations

# Each is, or carries inside, an address that is not public.
ADDRESSES = """
127.0.0.1 127.9.9.9 0.0.0.0 0.1.2.3 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 169.254.1.1 169.254.169.254
100.64.0.1 100.100.100.200 192.0.0.8 192.0.0.170 192.0.2.1 192.88.99.1 198.18.0.1 198.51.100.7 203.0.113.9 224.0.0.1
239.255.255.255 240.0.0.1 255.255.255.255
:: ::1 fe80::1 fe80::1%eth0 febf::1 fc00::1 fd12::1 fd00:ec2::254 fec0::1 ff02::1 2001:db8::1 100::1 5f00::1 3fff::1
4000::1 2001:2::1 2001:10::1
::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::127.0.0.1 ::10.0.0.1 ::ffff:0:127.0.0.1
64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 2002:7f00:1:: 2002:a9fe:a9fe::1 2002:a00:1::1
2001:0:4136:e378:8000:63bf:80ff:fffe 2001:0:7f00:1:0:0:80ff:fffe 2a00:1450::5efe:7f00:1 2a00:1450::200:5efe:a00:1
""".split()

# None is a plain host name; most are an address in another writing.
HOSTS = [
    "127.0.0.1", "2130706433", "0177.0.0.1", "017700000001", "0x7f000001", "0x7f.0.0.1", "0x7f.1", "127.1",
    "127.0.0.1.", "999.1.1.1", "1.2.3.4.5", "a.b.c.0", "a.0x7f", "::1", "[::1]", "[127.0.0.1]", "::ffff:127.0.0.1",
    "127.0.0.1%lo",    "１２７.０.０.１", "①②⑦.⓪.⓪.①", "127。0。0。1", "localhost", "localhost.",
    "user@smtp.example.com", "smtp.example.com:25", "smtp.example.com/x", "smtp.example.com#", "smtp.example.com.",
    "smtp..example.com", ".example.com", "-a.example.com", "http://smtp.example.com", "smtp.example.com\\evil",
    "exa%00mple.com", "exa mple.com", "xn--.com", "a" * 64 + ".example.com", "a." * 130 + "com",
]  # fmt: skip

PORTS = [0, 1, 22, 25, 53, 80, 110, 443, 995, 3306, 5432, 6379, 11211, 65535, 65536]

# Line breaks and other control characters, as they would end a command early.
BREAKS = ["\r\nQUIT", "\nQUIT", "\rQUIT", "\0", "\x0b", "\x1b[2J", "\x85", "\x7f"]
