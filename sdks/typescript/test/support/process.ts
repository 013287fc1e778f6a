import type { ChildProcess } from "node:child_process";
import type { Readable } from "node:stream";

/** The first text of an output that holds `word`; fails when the process ends before. */
export function saying(child: ChildProcess, output: Readable, word: string): Promise<string> {
  let said = "";
  return new Promise((resolve, reject) => {
    output.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      if (said.includes(word)) resolve(said);
    });
    child.once("error", reject);
    child.once("exit", (code) => {
      reject(new Error(`${child.spawnfile} ended (${code ?? "by a signal"}): ${said}`));
    });
  });
}
