// What every page needs; pages with more load their own modules beside it.
import "./messages.js";
import "./dialogs.js";
import "./popovers.js";
import "./relative-time.js";
import "./copy.js";
import "./job.js";
import "./forms.js";
import "./keywords.js";
import "./tables.js";
import { follow } from "./events.js";

// A tenth of all scripts: they come with the dialog, or where an upload is under way.
const uploads = () => Promise.all([import("./upload-box.js"), import("./upload-form.js")]);
const comeWithDialog = () => document.querySelector("archive-picker") && uploads();
if (localStorage.getItem("uploading")) uploads();
comeWithDialog();
document.addEventListener("htmx:load", comeWithDialog);

// On a narrow screen the row of tabs is longer than the page is wide.
document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

const address = document.body.dataset.events;
if (address) follow(address);
