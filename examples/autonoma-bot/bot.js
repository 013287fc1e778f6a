// The same bot with Postrider's SDK: the work of each event is done exactly once.
import Database from "better-sqlite3";
import express from "express";
import { Receiver, TransactionalInbox } from "@postrider/receiver";
import { expressHandler } from "@postrider/receiver/express";
import { SqliteStore } from "@postrider/receiver/sqlite";

const database = new Database(process.env.DATABASE ?? "bot.db");
database.exec("CREATE TABLE IF NOT EXISTS work (event_id TEXT, type TEXT, repository TEXT)");

const work = { "code.generated": "review", "deployment.completed": "smoke test" };
const inbox = new TransactionalInbox(new SqliteStore(database), { consumer: "bot" }, (event, tx) => {
  if (!(event.type in work)) return;
  tx.prepare("INSERT INTO work VALUES (?, ?, ?)").run(event.id, work[event.type], event.data.repository);
});
const receiver = new Receiver({
  secrets: process.env.WEBHOOK_SECRET.split(","), // the new one, then the old one
  profile: "autonoma",
  inbox,
});

const app = express();
app.post("/webhooks/autonoma", expressHandler(receiver));

const server = app.listen(process.env.PORT ?? 3000, "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${server.address().port}/webhooks/autonoma`);
});
