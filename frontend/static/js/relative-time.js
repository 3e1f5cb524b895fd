// Keeps "5 minutes ago" true while a page stays open. The words are those of the server's `relative`.
const STEPS = [[60, "second"], [60, "minute"], [24, "hour"], [30, "day"], [12, "month"], [Infinity, "year"]];

export function relative(moment, now = Date.now()) {
  const amount = (now - moment) / 1000;
  if (Math.abs(amount) < 10) return "just now";
  let size = Math.abs(amount);
  let unit = "second";
  for (const [limit, name] of STEPS) {
    unit = name;
    if (size < limit) break;
    size /= limit;
  }
  const count = `${Math.trunc(size)} ${unit}${Math.trunc(size) === 1 ? "" : "s"}`;
  return amount > 0 ? `${count} ago` : `in ${count}`;
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const whole = Math.round(seconds);
  if (whole < 60) return seconds < 10 ? `${seconds.toFixed(1)} s` : `${whole} s`;
  if (whole < 3600) return whole % 60 ? `${Math.trunc(whole / 60)} min ${whole % 60} s` : `${whole / 60} min`;
  const minutes = Math.trunc((whole % 3600) / 60);
  const hours = Math.trunc(whole / 3600).toLocaleString("en");
  return minutes ? `${hours} h ${minutes} min` : `${hours} h`;
}

setInterval(() => {
  for (const time of document.querySelectorAll("time[data-relative]")) {
    time.textContent = relative(Date.parse(time.dateTime));
  }
}, 15_000);
