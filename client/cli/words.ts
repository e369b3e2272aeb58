/** Numbers, times and durations as people read them. */

export function count(value: number): string {
  return value.toLocaleString("en-US");
}

/** "1 model", "3 models". */
export function several(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** 74.26 s as "1:14", below a minute as "14 s". */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  const rest = String(whole % 60).padStart(2, "0");
  if (hours === 0) return `${minutes}:${rest}`;
  return `${hours}:${String(minutes).padStart(2, "0")}:${rest}`;
}

/** A time in this machine's zone, to the second. */
export function localTime(iso: string): string {
  const at = new Date(iso);
  const two = (value: number) => String(value).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** A window's end: a date when it is midnight UTC, which windows are, else the whole time. */
export function windowTime(iso: string): string {
  return iso.endsWith("T00:00:00.000Z") ? iso.slice(0, 10) : iso;
}

/** Four significant digits, without an exponent for everyday numbers. */
export function figure(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const digits = Math.abs(value) >= 1000 ? 0 : Math.abs(value) >= 100 ? 1 : 2;
  return value.toFixed(digits);
}

/** How far `value` is below `reference`, as "−12.3 %" (an error removed) or "+4.0 %". */
export function change(value: number | undefined, reference: number | undefined): string {
  if (value === undefined || reference === undefined || reference === 0) return "–";
  const share = (100 * (value - reference)) / reference;
  return `${share < 0 ? "−" : "+"}${Math.abs(share).toFixed(1)} %`;
}

/** The interval of a change, in the direction of `change`: an improvement of 2 to 8 % is "−8.0 to −2.0 %". */
export function changeInterval({ low, high }: { low: number | null; high: number | null }): string {
  if (low === null || high === null) return "–";
  const share = (value: number) => `${value < 0 ? "−" : "+"}${Math.abs(100 * value).toFixed(1)}`;
  return `${share(-high)} to ${share(-low)} %`;
}

/** Bytes as "512 B", "1.5 MB": powers of 1,000, as S3's console counts. */
export function size(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const step = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), units.length - 1);
  const value = bytes / 1000 ** step;
  return `${step === 0 ? value : value.toFixed(value < 100 ? 1 : 0)} ${units[step] ?? ""}`;
}

/** An estimate, in words: "about $1.15", "less than $0.01". */
export function money(dollars: number): string {
  return dollars > 0 && dollars < 0.01 ? "less than $0.01" : `about $${dollars.toFixed(2)}`;
}
