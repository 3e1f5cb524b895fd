// What every page needs; pages with more load their own modules beside it.
import "./dialogs.js";
import "./popovers.js";
import "./relative-time.js";
import "./copy.js";
import "./job.js";
import "./forms.js";
import "./keywords.js";
import "./tables.js";
import "./upload-box.js";
import "./upload-form.js";
import { follow } from "./events.js";

const address = document.body.dataset.events;
if (address) follow(address);
