const RFC_3339 =
  /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?([Zz]|[+-]\d{2}:\d{2})$/;
/** `0000-01-01T00:00:00.000Z` and `9999-12-31T23:59:59.999Z` */
const MIN_MS = -62_167_219_200_000;
const MAX_MS = 253_402_300_799_999;

/**
 * The milliseconds since 1970 of an RFC 3339 timestamp in the years 0000 to 9999;
 * `undefined` for any other text. Digits beyond milliseconds are cut off.
 */
export function parseTimestamp(text: string): number | undefined {
  const match = RFC_3339.exec(text);
  if (!match) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const millis = Number((match[7] ?? "").padEnd(3, "0").slice(0, 3));
  const offset = offsetMinutes(match[8] ?? "");
  if (hour > 23 || minute > 59 || second > 59 || offset === undefined) return undefined;
  // Date.UTC reads years below 100 as 19xx
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  const ms = date.getTime() + ((hour * 60 + minute - offset) * 60 + second) * 1_000 + millis;
  return ms >= MIN_MS && ms <= MAX_MS ? ms : undefined;
}

function offsetMinutes(zone: string): number | undefined {
  if (zone.length === 1) return 0;
  const [hours, minutes] = [Number(zone.slice(1, 3)), Number(zone.slice(4))];
  if (hours > 23 || minutes > 59) return undefined;
  return (hours * 60 + minutes) * (zone.startsWith("-") ? -1 : 1);
}
