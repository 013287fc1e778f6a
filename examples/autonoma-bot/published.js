// The handler as Autonoma publishes it, with the bot's work filled in: the parsed body
// is written out again, and its signature compared as a whole. What comes twice is
// done twice, and what was done just before a crash is done again.
import crypto from "node:crypto";

import Database from "better-sqlite3";
import express from "express";

const database = new Database(process.env.DATABASE ?? "bot.db");
database.exec("CREATE TABLE IF NOT EXISTS work (event_id TEXT, type TEXT, repository TEXT)");

const app = express();
app.use(express.json());

app.post("/webhooks/autonoma", (req, res) => {
  const signature = req.headers["x-autonoma-signature"];
  const payload = JSON.stringify(req.body);
  const expected =
    "sha256=" +
    crypto.createHmac("sha256", process.env.WEBHOOK_SECRET).update(payload).digest("hex");
  if (signature !== expected) {
    return res.status(401).send("Invalid signature");
  }

  const { id, type, data } = req.body;
  const insert = database.prepare("INSERT INTO work VALUES (?, ?, ?)");
  switch (type) {
    case "code.generated":
      insert.run(id, "review", data.repository);
      break;
    case "deployment.completed":
      insert.run(id, "smoke test", data.repository);
      break;
  }
  res.status(200).send("OK");
});

const server = app.listen(process.env.PORT ?? 3000, "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${server.address().port}/webhooks/autonoma`);
});
