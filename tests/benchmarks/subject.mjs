// The same measured process in Node: nodemailer's verify() and imapflow, as a good open product does it.
// node subject.mjs MODULES PLACE UNDER_WAY CHECKS
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [modules, placeFile, underWay, checks] = process.argv.slice(2);
const require = createRequire(modules + "/package.json");
const nodemailer = require("nodemailer");
const { ImapFlow } = require("imapflow");
const place = JSON.parse(readFileSync(placeFile, "utf8"));
const ca = readFileSync(place.ca_file, "utf8");
const pass = "bench-password";
let next = 0;

async function one(user) {
  const auth = { user, pass };
  const tls = (servername) => ({ ca, servername });
  const host = place.address;
  const smtp = nodemailer.createTransport({ host, port: place.smtp_port, secure: true, auth, tls: tls(place.smtp_host) });
  await smtp.verify();
  smtp.close();
  const imap = new ImapFlow({ host, port: place.imap_port, secure: true, auth, tls: tls(place.imap_host), logger: false });
  await imap.connect();
  await imap.mailboxOpen("INBOX", { readOnly: true });
  await imap.logout();
}

async function many(number) {
  let left = number;
  const lane = async () => {
    while (left-- > 0) await one(place.users[next++ % place.users.length]);
  };
  await Promise.all(Array.from({ length: Number(underWay) }, lane));
}

await many(Number(underWay));
const cpu = process.cpuUsage();
const began = process.hrtime.bigint();
await many(Number(checks));
const used = process.cpuUsage(cpu);
console.log(JSON.stringify({
  cpu_s: (used.user + used.system) / 1e6,
  wall_s: Number(process.hrtime.bigint() - began) / 1e9,
  peak_kib: process.resourceUsage().maxRSS,
}));
